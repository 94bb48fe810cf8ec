"""Any order of accepting, claiming, crashing, sending, late answers, sweeps, cancelling, sending
again and expiring, against a model of what must come of it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from messaging import outcomes, states
from messaging.attempts import Job, Mark, Outcome, new_marks
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt, Event, Message, Sender, SenderWindow, Status
from messaging.sender_health import Health
from messaging.states import Claim
from tests.factories import NOON, make_application, make_message, make_sender

LEASE = timedelta(seconds=60)
ANSWERS = {
    "yes": Receipt(code="250"),
    "later": TemporaryFailure("temporary", phase="final_dot"),
    "never": PermanentFailure("rejected", phase="final_dot"),
    "sender": SenderFailure("transient", phase="connect"),
    # No answer, and the provider has it, or has it not.
    "silence_taken": OutcomeUnknown("no_answer", phase="final_dot"),
    "silence": OutcomeUnknown("no_answer", phase="final_dot"),
}


@dataclass
class Expected:
    """The model of one message: a few facts, moved by plain rules."""

    policy: str
    due_at: datetime
    expires_at: datetime
    status: str = "pending"
    token: int = 0
    leased_until: datetime | None = None
    claims: int = 0
    resends: int = 0
    by_operators: int = 0
    reason: str = ""
    # Tokens under which an attempt was begun and not ended, and how often any was in doubt.
    open_tokens: Counter[int] = field(default_factory=Counter)

    @property
    def may_be_late(self) -> bool:
        return self.status in {"sending", "pending", "unknown"} or (
            self.status == "failed" and self.reason == "unknown_outcome"
        )


@dataclass(frozen=True)
class Marked:
    """What a worker has in its hands after the mark was committed."""

    job: Job
    attempt: Mark


class Deliveries(RuleBasedStateMachine):
    messages = Bundle("messages")
    claims = Bundle("claims")
    marks = Bundle("marks")
    answers = Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        for model in (Event, Attempt, Message, SenderWindow, Sender):
            model.objects.all().delete()
        self.now = NOON
        self.application = make_application()
        self.sender = make_sender()
        self.model: dict[UUID, Expected] = {}
        # What the provider took, by message.
        self.copies: Counter[UUID] = Counter()
        self.sent: set[Any] = set()
        # Of a generation of workers; a crash makes what they hold worthless.
        self.generation = 0
        self.alive: dict[Any, int] = {}
        self.kept: list[Any] = []

    # --- people and time -------------------------------------------------------------------------

    @rule(target=messages, policy=st.sampled_from(["at_least_once", "at_most_once"]))
    def accept(self, policy):
        expires_at = self.now + timedelta(hours=1)
        made = make_message(
            application=self.application, policy=policy, due_at=self.now, expires_at=expires_at
        )
        self.model[made.pk] = Expected(policy, self.now, expires_at)
        return made.pk

    @rule(seconds=st.sampled_from([1, 30, 61, 600, 4000]))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(pk=messages)
    def cancel(self, pk):
        won = states.cancel(pk, now=self.now, actor_id=None)

        assert won == (self.model[pk].status == "pending")
        if won:
            self.model[pk].status = "cancelled"

    @rule(pk=messages)
    def resend(self, pk):
        went = states.resend_many([pk], may_duplicate=True, now=self.now, actor_id=None)

        expected = self.model[pk]
        assert bool(went) == (expected.status in {"failed", "unknown"})
        if went:
            row = Message.objects.get(pk=pk)
            expected.status, expected.claims, expected.resends = "pending", 0, 0
            expected.due_at, expected.expires_at = self.now, row.expires_at
            expected.by_operators += 1
            assert row.expires_at > self.now

    @rule(pk=messages)
    def release(self, pk):
        went = states.bring_forward([pk], now=self.now, actor_id=None)

        expected = self.model[pk]
        assert bool(went) == (expected.status == "pending")
        if went:
            row = Message.objects.get(pk=pk)
            expected.due_at, expected.expires_at = self.now, row.expires_at

    # --- workers ---------------------------------------------------------------------------------

    @rule(target=claims)
    def claim(self):
        claimed = states.claim_due(
            channel="email", lane="normal", limit=3, now=self.now, lease=LEASE
        )

        held = {claim.message.pk: claim for claim in claimed.claims}
        due = [m for m in self.model.values() if m.status == "pending" and m.due_at <= self.now]
        assert claimed.count == min(3, len(due))
        for pk in Message.objects.filter(lease_token__gt=0).values_list("pk", flat=True):
            row, expected = Message.objects.get(pk=pk), self.model[pk]
            if row.lease_token == expected.token:
                continue
            # It was claimed just now.
            assert expected.status == "pending"
            assert expected.due_at <= self.now
            expected.token += 1
            expected.claims += 1
            if expected.expires_at <= self.now:
                expected.status, expected.reason = "failed", "expired"
            elif expected.claims > states.MAX_CLAIMS:
                expected.status, expected.reason = "failed", "poison"
            else:
                expected.status, expected.leased_until = "sending", self.now + LEASE
                assert held.pop(pk).lease_token == expected.token
        assert held == {}
        for claim in claimed.claims:
            self._live(claim)
        return multiple(*claimed.claims)

    def _live(self, held):
        self.alive[id(held)] = self.generation
        # So that no other one gets its id.
        self.kept.append(held)

    @rule(target=marks, claim=claims)
    def mark(self, claim: Claim):
        if self.alive.get(id(claim)) != self.generation:
            return multiple()
        job = Job(claim, self.sender, {}, self.now)
        (attempt,) = new_marks([job], worker="w", now=self.now)
        _, started = outcomes.commit([], [attempt], health=Health(), may_be_late=False)

        expected = self.model[claim.message.pk]
        is_ours = (
            expected.status == "sending"
            and expected.token == claim.lease_token
            and expected.leased_until is not None
            and expected.leased_until > self.now
        )
        assert bool(started) == is_ours
        # A drain marks a claim once, and then again only after the outcome of the first.
        del self.alive[id(claim)]
        if not started:
            return multiple()
        expected.open_tokens[claim.lease_token] += 1
        marked = Marked(job, attempt)
        self._live(marked)
        return marked

    @rule(target=answers, marked=marks, answer=st.sampled_from(sorted(ANSWERS)))
    def send(self, marked: Marked, answer):
        if self.alive.get(id(marked)) != self.generation or id(marked) in self.sent:
            return multiple()
        self.sent.add(id(marked))
        if answer in {"yes", "silence_taken"}:
            self.copies[marked.job.claim.message.pk] += 1
        return (marked, answer)

    @rule(answered=answers)
    def record(self, answered):
        marked, answer = answered
        if self.alive.pop(id(marked), None) != self.generation:
            return
        claim = marked.job.claim
        outcome = Outcome(marked.job, marked.attempt, ANSWERS[answer], self.now)
        outcomes.commit([outcome], [], health=Health(), may_be_late=True)

        expected = self.model[claim.message.pk]
        expected.open_tokens[claim.lease_token] -= 1
        is_ours = expected.status == "sending" and expected.token == claim.lease_token
        if answer == "yes":
            if expected.may_be_late:
                expected.status, expected.claims = "success", 0
        elif is_ours and answer == "never":
            expected.status, expected.reason, expected.claims = "failed", "rejected", 0
        elif is_ours and answer == "later":
            expected.status, expected.claims = "pending", 0
            expected.due_at = Message.objects.get(pk=claim.message.pk).due_at
            assert self.now < expected.due_at <= expected.expires_at or (
                expected.expires_at <= self.now
            )
        elif is_ours and answer.startswith("silence"):
            expected.status, expected.claims = "unknown", 0
            expected.due_at = self.now + states.UNKNOWN_REST
        elif is_ours:
            # The sender's fault: the drain holds it still, and hands it back.
            states.release([claim], now=self.now)
            expected.status, expected.claims, expected.due_at = "pending", 0, self.now

    @rule(answer=st.sampled_from(sorted(ANSWERS)))
    def deliver(self, answer):
        """A whole drain without any trouble of its own."""
        for claim in self.claim().values:
            marked = self.mark(claim)
            if isinstance(marked, Marked):
                self.record(self.send(marked, answer))

    @rule()
    def crash(self):
        """Every worker dies with what it holds."""
        self.generation += 1

    @rule()
    def sweep(self):
        states.recover_leases(now=self.now)
        for expected in self.model.values():
            if expected.status == "sending" and expected.leased_until <= self.now:
                is_in_doubt = expected.open_tokens[expected.token] > 0
                expected.status = "unknown" if is_in_doubt else "pending"
                expected.due_at = self.now
        states.settle_unknown(now=self.now)
        for expected in self.model.values():
            if expected.status == "unknown" and expected.due_at <= self.now:
                if (
                    expected.policy == "at_least_once"
                    and not expected.resends
                    and expected.expires_at > self.now
                ):
                    expected.status, expected.resends = "pending", 1
                    expected.due_at = self.now
                else:
                    expected.status, expected.reason = "failed", "unknown_outcome"

    @rule()
    def lose_every_lease(self):
        """Workers sleep past their leases, and the sweep comes by; then they wake up."""
        self.now += LEASE + timedelta(seconds=1)
        self.sweep()

    # --- what holds at any time ------------------------------------------------------------------

    @invariant()
    def rows_are_as_the_model_says(self):
        rows = {m.pk: m for m in Message.objects.all()}

        assert {pk: row.status for pk, row in rows.items()} == {
            pk: expected.status for pk, expected in self.model.items()
        }
        assert {pk: row.lease_token for pk, row in rows.items()} == {
            pk: expected.token for pk, expected in self.model.items()
        }

    @invariant()
    def every_extra_copy_is_explained(self):
        for pk, copies in self.copies.items():
            expected = self.model[pk]
            allowed = 0 if expected.policy == "at_most_once" else 1
            explained = sum(expected.open_tokens.values()) + (
                Attempt.objects.filter(message_id=pk, unknown_at__isnull=False).count()
            )
            if not expected.by_operators:
                assert copies - 1 <= min(allowed, explained)

    @invariant()
    def success_means_that_a_provider_has_it(self):
        for pk, expected in self.model.items():
            if expected.status == Status.SUCCESS:
                assert self.copies[pk] >= 1

    def teardown(self):
        """When nothing fails any more, everything comes to an end."""
        self.crash()
        for _ in range(12):
            self.now += timedelta(minutes=10)
            self.sweep()
            claimed = states.claim_due(
                channel="email", lane="normal", limit=1000, now=self.now, lease=LEASE
            )
            for claim in claimed.claims:
                job = Job(claim, self.sender, {}, self.now)
                marks = new_marks([job], worker="w", now=self.now)
                outcomes.commit([], marks, health=Health(), may_be_late=False)
                outcome = Outcome(job, marks[0], ANSWERS["yes"], self.now)
                outcomes.commit([outcome], [], health=Health(), may_be_late=False)
                self.copies[claim.message.pk] += 1
        self.every_extra_copy_is_explained()
        left = Message.objects.exclude(status__in=["success", "failed", "cancelled"])
        assert not left.exists()


@pytest.mark.django_db(transaction=True)
def test_no_order_of_events_loses_a_message_or_sends_one_twice_unexplained():
    run_state_machine_as_test(
        Deliveries,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            # Making a failure smaller takes minutes here; add Phase.shrink to look into one.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
