"""The one writer of a message's status. Every move is a conditional UPDATE: whoever finds no row
to update was overtaken, which is no error.

`MOVES` is the whole machine; each function is one of its arrows and says who walks it.
"""

from messaging.states.asking import ASK_AGAIN, ASK_FOR, IN_DOUBT, put_off, take_to_ask
from messaging.states.drain import (
    SUCCEED,
    Claim,
    Claimed,
    HeldMessage,
    Success,
    claim_due,
    doubt,
    fail,
    fail_unsent,
    is_due,
    note_late,
    note_waiting,
    put_back,
    put_back_together,
    release,
    renew_leases,
    still_held,
    succeed,
    success_values,
)
from messaging.states.feedback import RANKS, prove, raise_feedback
from messaging.states.machine import (
    CAN_GO_AGAIN,
    FINAL,
    MAX_CLAIMS,
    MAX_TRIES,
    MAY_HAVE_ARRIVED,
    MOVES,
    UNKNOWN_REST,
)
from messaging.states.operators import cancel, cancel_some_of, reschedule, resend_many
from messaging.states.sweep import (
    recover_leases,
    settle_absent,
    settle_unknown,
    wake_waiting,
)

__all__ = [
    "ASK_AGAIN",
    "ASK_FOR",
    "CAN_GO_AGAIN",
    "FINAL",
    "IN_DOUBT",
    "MAX_CLAIMS",
    "MAX_TRIES",
    "MAY_HAVE_ARRIVED",
    "MOVES",
    "RANKS",
    "SUCCEED",
    "UNKNOWN_REST",
    "Claim",
    "Claimed",
    "HeldMessage",
    "Success",
    "cancel",
    "cancel_some_of",
    "claim_due",
    "doubt",
    "fail",
    "fail_unsent",
    "is_due",
    "note_late",
    "note_waiting",
    "prove",
    "put_back",
    "put_back_together",
    "put_off",
    "raise_feedback",
    "recover_leases",
    "release",
    "renew_leases",
    "reschedule",
    "resend_many",
    "settle_absent",
    "settle_unknown",
    "still_held",
    "succeed",
    "success_values",
    "take_to_ask",
    "wake_waiting",
]
