"""What is left when a worker dies at each step of a hand-over: exactly one end for each cell.

A worker that is lost is found when its lease ends, and what it left in doubt is settled at once:
the rest of `states.UNKNOWN_REST` is for silence that a worker saw itself. A provider that can be
asked is asked first, and then nothing is sent twice.
"""

from dataclasses import dataclass

import pytest

from tests.faults.clients import Clients, Request
from tests.faults.evidence import copies_of, verify
from tests.faults.fleet import Fleet
from tests.faults.points import needs_point
from tests.faults.sms import SmsClients
from tests.faults.verifier import SILENCE, Allowed
from tests.installation import APP, until


@dataclass(frozen=True, slots=True)
class End:
    """The message's status, copies at the provider, and attempts that were once unknown."""

    status: str
    copies: int
    doubts: int


UNHARMED = {"at_least_once": End("success", 1, 0), "at_most_once": End("success", 1, 0)}
# The mark stands, and nothing that lets the provider act had left; the platform cannot know.
MARKED = {"at_least_once": End("success", 1, 1), "at_most_once": End("failed", 0, 1)}
# The provider has it, and the platform does not know.
TAKEN = {"at_least_once": End("success", 2, 1), "at_most_once": End("failed", 1, 1)}
# The provider has it, and says so when it is asked.
FOUND = {"at_least_once": End("success", 1, 1), "at_most_once": End("success", 1, 1)}

SMTP = {
    "after_claim": UNHARMED,
    "after_allot": UNHARMED,
    "after_mark": MARKED,
    "mid_data": MARKED,
    "after_dot": TAKEN,
    "after_reply": TAKEN,
    "before_commit": TAKEN,
    # The outcome is committed: nothing is left to be done.
    "after_commit": UNHARMED,
}
HTTP = {
    "after_claim": UNHARMED,
    "after_mark": MARKED,
    "before_request": MARKED,
    "after_request": TAKEN,
    "after_reply": TAKEN,
    "before_commit": TAKEN,
}
SMS = {
    "after_claim": UNHARMED,
    "after_allot": UNHARMED,
    # It says that it has none; `at_most_once` is not sent again all the same.
    "after_mark": MARKED,
    "before_request": MARKED,
    "after_request": FOUND,
    "after_reply": FOUND,
    "before_commit": FOUND,
    "after_commit": UNHARMED,
}
IN_CI = {
    *(("smtp", "after_claim"), ("smtp", "after_mark"), ("smtp", "after_dot")),
    ("sms", "after_request"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """By which sender messages go, who sends them, and which workers."""

    sender: str
    clients: type[Clients] = Clients
    app: str = APP


WAYS = {
    "smtp": Way("tls-1"),
    "http": Way("postmark"),
    "sms": Way("aliyun", SmsClients, "tests.hasty"),
}

CELLS = [
    pytest.param(
        *(channel, point, expected),
        id=f"{channel} {point}",
        marks=[] if (channel, point) in IN_CI else [pytest.mark.faults],
    )
    for channel, table in (("smtp", SMTP), ("http", HTTP), ("sms", SMS))
    for point, expected in table.items()
]


@pytest.mark.parametrize(("channel", "point", "expected"), CELLS)
def test_a_worker_that_dies_there_leaves_exactly_this(running_fleet, channel, point, expected):
    needs_point(point)
    fleet, way = running_fleet, WAYS[channel]
    armed = fleet.folder / f"armed-{point}"
    fleet.reset(app=way.app, CRASH_AT=f"{point}@{armed}")
    fleet.use_only(way.sender)

    found = {}
    with way.clients(fleet) as clients:
        for policy in expected:
            armed.touch()
            (sent,) = clients.send(policy=policy)
            until(lambda: not armed.exists(), seconds=30, what=f"dead at {point}")
            verify(fleet, clients, allowed=Allowed(failed=SILENCE), within=40)
            found[policy] = end_of(fleet, clients, sent)

    assert found == expected


@pytest.mark.parametrize(
    ("is_taken", "is_mute", "expected"),
    [
        pytest.param(True, False, FOUND, id="taken"),
        pytest.param(False, False, MARKED, id="not taken"),
        # Asked for ten minutes in vain; then it is as with those that cannot be asked.
        pytest.param(True, True, TAKEN, id="taken, and never told", marks=pytest.mark.faults),
    ],
)
def test_an_answer_that_a_provider_loses_leaves_exactly_this(
    running_fleet, is_taken, is_mute, expected
):
    fleet, way = running_fleet, WAYS["sms"]
    fleet.reset(app=way.app)
    fleet.use_only(way.sender)
    fleet.aliyun.is_mute = is_mute

    sent = {}
    with way.clients(fleet) as clients:
        for policy in expected:
            fleet.aliyun.lose_answer(is_taken=is_taken)
            (sent[policy],) = clients.send(policy=policy)
            until(lambda: fleet.aliyun.has_lost_it, seconds=30, what="an answer lost")
        verify(fleet, clients, allowed=Allowed(failed=SILENCE), within=100)
        found = {policy: end_of(fleet, clients, one) for policy, one in sent.items()}

    assert found == expected


def end_of(fleet: Fleet, clients: Clients, sent: Request) -> End:
    ((status,),) = fleet.query(
        "SELECT status FROM messaging_message WHERE id = %s", sent.message_id
    )
    ((doubts,),) = fleet.query(
        "SELECT COUNT(unknown_at) FROM messaging_attempt WHERE message_id = %s", sent.message_id
    )
    copies = [copy for copy in copies_of(fleet, clients) if copy.message_id == sent.message_id]
    return End(status, len(copies), doubts)
