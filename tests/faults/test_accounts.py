"""Accounts that fall ill in every way: the others take over, and nothing is lost or doubled."""

import time

import pytest

from tests.faults.accounts import ILLNESSES
from tests.faults.clients import Clients
from tests.faults.evidence import verify
from tests.faults.fleet import Fleet
from tests.faults.verifier import Allowed
from tests.installation import until

# Seconds within which the others have to do what the sick one does not.
TAKE_OVER = 10
# What says that the account is at fault, not the message.
OF_THE_ACCOUNT = [
    *(f"{code} at banner" for code in (421, 450, 554)),
    *(f"{code} at auth" for code in (421, 454, 535)),
    *(f"{code} at mail" for code in (421, 450, 451, 452, 550)),
    "421 at data",
    "454 at final_dot",
    "closes at the banner",
    "closes before DATA",
    "closes after the dot, taken",
    "closes after the dot, not taken",
    "resets after the dot, taken",
    "half-closes after the dot, taken",
    "hangs at MAIL",
    "hangs after the dot, taken",
    "hangs after the dot, not taken",
    "one byte a second",
    "certificate for another name",
    "slow",
]
IN_CI = {"421 at mail", "535 at auth", "closes before DATA", "certificate for another name"}
# What says that the message is refused, now or for good: (status, reason).
OF_THE_MESSAGE = {
    **{f"{code} at rcpt": ("pending", "temporary_failure") for code in (421, 450, 451, 452, 552)},
    "550 at rcpt": ("failed", "hard_bounce"),
    **{f"{code} at data": ("pending", "temporary_failure") for code in (451, 452)},
    **{f"{code} at data": ("failed", "blocked") for code in (550, 554)},
    **{f"{code} at final_dot": ("pending", "temporary_failure") for code in (421, 450, 451, 452)},
    **{f"{code} at final_dot": ("failed", "blocked") for code in (550, 554)},
    "552 at final_dot": ("failed", "rejected"),
}
# A hand-over may wait for as long as its phase allows: such a worker keeps what it holds.
PATIENT = {"LEASE_SECONDS": "200"}


def marked(name: str, *, in_ci: bool) -> object:
    return pytest.param(name, id=name, marks=[] if in_ci else [pytest.mark.faults])


@pytest.mark.parametrize("illness", [marked(name, in_ci=name in IN_CI) for name in OF_THE_ACCOUNT])
def test_one_sick_account_of_three_is_replaced_by_the_others(running_fleet, illness):
    fleet = running_fleet
    sick = fleet.accounts[2]
    is_slow = ILLNESSES[illness].is_silent or ILLNESSES[illness].byte_seconds
    fleet.reset(**PATIENT if is_slow else {})
    with Clients(fleet) as clients:
        clients.start(rate=5)
        fleet.wait_for_copies(10)
        sick.fall_ill(illness)
        time.sleep(TAKE_OVER)
        probes = clients.send(20)
        late = late_of(fleet, [probe.message_id for probe in probes])
        clients.stop()
        sick.get_well()

        verdict = verify(fleet, clients, within=300)

    assert verdict.delivered == verdict.accepted
    assert late == 0, f"{late} of 20 messages were not taken over within {TAKE_OVER} s"


def late_of(fleet: Fleet, ids: list[str]) -> int:
    """How many of `ids` are not delivered in time."""
    sql = "SELECT COUNT(*) FROM messaging_message WHERE id = ANY(%s) AND status <> 'success'"
    ends_at = time.monotonic() + TAKE_OVER
    late = len(ids)
    while late and time.monotonic() < ends_at:
        time.sleep(0.2)
        ((late,),) = fleet.query(sql, ids)
    return int(late)


@pytest.mark.faults
@pytest.mark.parametrize("illness", OF_THE_MESSAGE)
def test_a_refusal_of_the_message_is_charged_to_the_message(fleet, clients, illness):
    status, reason = OF_THE_MESSAGE[illness]
    fleet.use_only("plain")
    fleet.accounts[0].fall_ill(illness)

    (sent,) = clients.send()

    allowed = Allowed(failed=frozenset({reason}), pending=frozenset({reason}))
    verify(fleet, clients, allowed=allowed)
    ((became, why),) = fleet.query(
        "SELECT status, reason FROM messaging_message WHERE id = %s", sent.message_id
    )
    assert (became, why) == (status, reason)
    assert len(fleet.copies) == 0


def test_all_accounts_down_and_mended_by_an_operator_delivers_everything(fleet, clients):
    everybody_falls_ill(fleet, clients)

    everybody_gets_well(fleet)
    fleet.mend_senders()

    verdict = verify(fleet, clients)
    assert verdict.delivered == verdict.accepted == len(clients.requests)


@pytest.mark.faults
def test_all_accounts_down_and_back_delivers_everything_without_an_operator(fleet, clients):
    everybody_falls_ill(fleet, clients)

    everybody_gets_well(fleet)

    verdict = verify(fleet, clients, within=200)
    assert verdict.delivered == verdict.accepted == len(clients.requests)


def everybody_falls_ill(fleet: Fleet, clients: Clients) -> None:
    clients.start(rate=10)
    fleet.wait_for_copies(10)
    for account in fleet.accounts:
        account.fall_ill("421 at mail")
        account.drop_connections()
    until(
        lambda: (
            fleet.query("SELECT COUNT(*) FROM messaging_message WHERE reason = 'no_sender'")[0][0]
            >= 20
        ),
        seconds=60,
        what="waiting for a sender",
    )
    clients.stop()


def everybody_gets_well(fleet: Fleet) -> None:
    for account in fleet.accounts:
        account.get_well()


@pytest.mark.faults
def test_a_line_lost_right_after_the_final_dot_explains_every_extra_copy(fleet, clients):
    fleet.use_only("plain")
    clients.start(rate=10)
    fleet.wait_for_copies(10)
    for _ in range(3):
        fleet.mail_line.drop_when_seen(b"\r\n.\r\n")
        time.sleep(2)
    clients.stop()

    verdict = verify(fleet, clients)

    # The rest of a minute after a silence that the worker saw is over.
    assert verdict.delivered == verdict.accepted
    assert verdict.duplicates <= 3


# --- a provider's HTTP API -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "illness",
    [
        marked(name, in_ci=name == "429")
        for name in ("429", "401", "503", "500", "silence, taken", "reset, taken")
    ],
)
def test_a_sick_http_account_is_replaced_by_smtp_ones(running_fleet, illness):
    fleet = running_fleet
    fleet.reset(**PATIENT if "silence" in illness else {})
    fleet.use_only("postmark", "tls-1", "tls-2")
    with Clients(fleet) as clients:
        clients.start(rate=5)
        fleet.wait_for_copies(10)
        fleet.postmark.fall_ill(illness)
        time.sleep(TAKE_OVER)
        probes = clients.send(20)
        late = late_of(fleet, [probe.message_id for probe in probes])
        clients.stop()
        fleet.postmark.get_well()

        verdict = verify(fleet, clients, within=300)

    assert verdict.delivered == verdict.accepted
    assert late == 0, f"{late} of 20 messages were not taken over within {TAKE_OVER} s"


@pytest.mark.faults
def test_a_message_that_an_http_provider_refuses_fails(fleet, clients):
    fleet.use_only("postmark")
    fleet.postmark.fall_ill("422")

    clients.send(3)

    # Postmark's 300 is about the e-mail, not about the account.
    verdict = verify(fleet, clients, allowed=Allowed(failed=frozenset({"rejected"})))
    assert verdict.terminal == 3
