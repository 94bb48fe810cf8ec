import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Action
from core.clock import database_clock
from core.commands import PlainCommand, duration
from messaging import resending
from messaging.models import WAITING_REASONS, Message, Reason, Sender, Status
from messaging.search import created_since

# Ids are listed first: a million take some 100 MB.
MAX_LIMIT = 1_000_000
LONGEST_SINCE = timedelta(days=3650)
# With --rate, what becomes due within this many seconds goes at once.
STEP_SECONDS = 0.05


class Command(PlainCommand):
    help = "Send failed messages again. Look first with --dry-run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", type=UUID, help="Only these messages.")
        parser.add_argument(
            "--status",
            choices=[Status.FAILED, Status.UNKNOWN],
            help="Default: failed; with ids, both.",
        )
        parser.add_argument("--since", type=_since, help="Created in the last 2h, 7d, …")
        parser.add_argument("--sender", help="Name of the sender that tried last.")
        failures = [reason for reason in Reason.values if reason not in WAITING_REASONS]
        parser.add_argument("--reason", choices=failures, help="Why they failed.")
        parser.add_argument(
            "--limit", type=_limit, default=10_000, help="At most so many, the oldest first."
        )
        parser.add_argument("--rate", type=_rate, help="At most so many a second, evenly spread.")
        parser.add_argument("--dry-run", action="store_true", help="Only say which there are.")
        parser.add_argument(
            "--may-duplicate",
            action="store_true",
            help="Also those that the provider may have taken already.",
        )

    def handle(self, **options: Any) -> None:
        rows, limit = self._matching(options), options["limit"]
        tally = resending.tally(rows)
        self._say_what_stays(options["ids"], tally)
        may_duplicate = options["may_duplicate"]
        if tally.doubtful:
            self.stderr.write(
                f"The provider may have taken {_number(tally.doubtful)} of these: sending them "
                "again may duplicate them."
            )
            if not may_duplicate and not options["dry_run"]:
                may_duplicate = self._ask()
        ids = resending.choose(rows, may_duplicate=may_duplicate, limit=limit)
        if options["dry_run"]:
            self._show(ids)
        else:
            self._resend(ids, rate=options["rate"], may_duplicate=may_duplicate)
        if tally.doubtful and not may_duplicate:
            self.stdout.write(
                f"{_number(tally.doubtful)} that may have arrived are left out; "
                "--may-duplicate takes them too."
            )
        if tally.certain + (tally.doubtful if may_duplicate else 0) > limit:
            self.stdout.write(f"There are more than --limit {limit}: call it again for the rest.")

    def _matching(self, options: dict[str, Any]) -> QuerySet[Message]:
        if not any(options[name] for name in ("ids", "since", "sender", "reason")):
            raise CommandError("Say which: give ids, --since, --sender or --reason.")
        status = options["status"]
        if status == Status.UNKNOWN and options["reason"]:
            raise CommandError("Unknown messages have no reason: leave --reason out.")
        rows = Message.objects.all()
        if options["ids"]:
            rows = rows.filter(pk__in=options["ids"])
        if status or not options["ids"]:
            rows = rows.filter(status=status or Status.FAILED)
        if options["since"]:
            rows = rows.filter(created_since(timezone.now() - options["since"]))
        if options["sender"]:
            rows = rows.filter(sender=_sender(options["sender"]))
        if options["reason"]:
            rows = rows.filter(reason=options["reason"])
        return rows

    def _say_what_stays(self, ids: Sequence[UUID], tally: resending.Tally) -> None:
        if left := len(set(ids)) - tally.certain - tally.doubtful if ids else 0:
            self.stderr.write(f"{left} of the {len(set(ids))} given do not match: they stay.")

    def _ask(self) -> bool:
        if not sys.stdin.isatty():
            return False
        return input("Send those too? [y/N] ").strip().lower() in {"y", "yes"}

    def _show(self, ids: Sequence[UUID]) -> None:
        """How many of each reason and sender."""
        found: Counter[tuple[str, str]] = Counter()
        for part in _parts(ids, resending.SLICE):
            shown = Message.objects.filter(pk__in=part).values_list(
                "reason", "status", "sender__name"
            )
            found.update((reason or status, sender or "-") for reason, status, sender in shown)
        for (reason, sender), count in found.most_common():
            self.stdout.write(f"{count:>9}  {reason:<16} {sender}")
        self.stdout.write(f"{len(ids)} messages would be sent again.")

    def _resend(self, ids: Sequence[UUID], *, rate: float | None, may_duplicate: bool) -> None:
        clock, went, looked_at = database_clock(), 0, 0
        parts = _paced(ids, rate) if rate else _parts(ids, resending.SLICE)
        if ids:
            # Before the first goes, so that none goes unrecorded when this is broken off.
            audit.record(by=audit.of_command(), action=Action.RESENT, kind=Message, count=len(ids))
        try:
            for part in parts:
                went += resending.resend_slice(part, may_duplicate=may_duplicate, now=clock())
                looked_at += len(part)
        except KeyboardInterrupt:
            raise CommandError(
                f"Stopped. {went} of {len(ids)} messages are on their way again.", returncode=130
            ) from None
        self.stdout.write(f"{went} of {len(ids)} messages are on their way again.")
        if looked_at > went:
            self.stdout.write(f"{looked_at - went} had moved meanwhile.")


def _parts(ids: Sequence[UUID], size: int) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _paced(ids: Sequence[UUID], rate: float) -> Iterator[Sequence[UUID]]:
    """Parts in such a rhythm that `rate` messages a second go. Time that was lost is not made up
    for by more than one part, so that there is no burst after a pause."""
    size = max(1, min(resending.SLICE, round(rate * STEP_SECONDS)))
    pause = size / rate
    next_at = time.monotonic()
    for part in _parts(ids, size):
        if (wait := next_at - time.monotonic()) > 0:
            time.sleep(wait)
        next_at = max(next_at, time.monotonic() - pause) + pause
        yield part


def _sender(name: str) -> Sender:
    sender = Sender.objects.filter(name=name).first()
    if sender is None:
        names = ", ".join(Sender.objects.values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no sender {name}. There are: {names}.")
    return sender


def _number(count: int) -> str:
    limit = resending.COUNT_LIMIT
    return f"more than {limit:,}" if count > limit else str(count)


def _checked(read: Callable[[str], Any], is_right: Callable[[Any], bool], rule: str) -> Any:
    """For argparse's `type`: what `read` makes of a text, if it keeps the rule."""

    def convert(text: str) -> Any:
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None or not is_right(value):
            raise argparse.ArgumentTypeError(f"{text!r} does not do. {rule}")
        return value

    return convert


_limit = _checked(int, lambda n: 1 <= n <= MAX_LIMIT, f"Write a number from 1 to {MAX_LIMIT:,}.")
_rate = _checked(
    float, lambda n: math.isfinite(n) and n > 0, "Write messages a second, more than 0."
)
_since = _checked(duration, lambda d: d <= LONGEST_SINCE, "It reaches back at most 3650d.")
