"""What is left when a worker dies at each step of a hand-over: exactly one end for each cell.

A worker that is lost is found when its lease ends, and what it left in doubt is settled at once:
the rest of `states.UNKNOWN_REST` is for silence that a worker saw itself.
"""

from dataclasses import dataclass

import pytest

from tests.faults.clients import Clients
from tests.faults.evidence import verify
from tests.faults.fleet import Fleet
from tests.faults.points import needs_point
from tests.faults.verifier import SILENCE, Allowed
from tests.installation import until


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
IN_CI = {("smtp", "after_claim"), ("smtp", "after_mark"), ("smtp", "after_dot")}


CELLS = [
    pytest.param(
        *(channel, point, expected),
        id=f"{channel} {point}",
        marks=[] if (channel, point) in IN_CI else [pytest.mark.faults],
    )
    for channel, table in (("smtp", SMTP), ("http", HTTP))
    for point, expected in table.items()
]


@pytest.mark.parametrize(("channel", "point", "expected"), CELLS)
def test_a_worker_that_dies_there_leaves_exactly_this(running_fleet, channel, point, expected):
    needs_point(point)
    armed = running_fleet.folder / f"armed-{point}"
    running_fleet.reset(CRASH_AT=f"{point}@{armed}")
    running_fleet.use_only("postmark" if channel == "http" else "tls-1")

    found = {}
    with Clients(running_fleet) as clients:
        for policy in expected:
            armed.touch()
            (sent,) = clients.send(policy=policy)
            until(lambda: not armed.exists(), seconds=30, what=f"dead at {point}")
            verify(running_fleet, clients, allowed=Allowed(failed=SILENCE), within=40)
            found[policy] = end_of(running_fleet, sent.message_id)

    assert found == expected


def end_of(fleet: Fleet, message_id: str) -> End:
    ((status,),) = fleet.query("SELECT status FROM messaging_message WHERE id = %s", message_id)
    ((doubts,),) = fleet.query(
        "SELECT COUNT(unknown_at) FROM messaging_attempt WHERE message_id = %s", message_id
    )
    return End(status, len(fleet.copies.by_message()[message_id]), doubts)
