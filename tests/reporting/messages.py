"""Messages that were accepted at a time, and what SQL says of them."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from core.ids import lowest_uuid7, uuid7
from messaging.channels.simulator import NAMES
from messaging.models import Message
from reporting.models import HourlyCount, HourlyDetail
from reporting.rollups import floor_hour
from tests.factories import NOON, make_message


def accepted(at: datetime = NOON, **overrides: Any) -> Message:
    """With an id of that time."""
    tail = uuid7().int & ((1 << 62) - 1)
    pk = type(uuid7())(int=lowest_uuid7(at).int | tail)
    times = {"created_at": at, "due_at": at, "expires_at": at + timedelta(hours=72)}
    return make_message(pk=pk, **times | overrides)


def by_sql() -> Counter[Any]:
    """Each message by all that the details tell apart, and its status and feedback."""
    found: Counter[Any] = Counter()
    for message in Message.objects.select_related("template_version", "only_sender"):
        version, bound = message.template_version, message.only_sender
        apart = (
            floor_hour(message.created_at),
            message.application_id,
            message.channel,
            version.template_id if version else None,
            message.sender_id,
            bound is not None and bound.adapter in NAMES,
            message.reason,
        )
        found[*apart, "accepted"] += 1
        found[*apart, message.status] += 1
        if message.feedback:
            found[*apart, message.feedback] += 1
    return found


TOLD = ("accepted", "pending", "sending", "success", "failed", "unknown", "cancelled")
REPORTED = ("deferred", "delivered", "opened", "clicked", "bounced", "unsubscribed", "complained")


def by_statistics() -> Counter[Any]:
    """The same from the details."""
    found: Counter[Any] = Counter()
    for row in HourlyDetail.objects.all():
        apart = (
            row.hour,
            row.application_id,
            row.channel,
            row.template_id,
            row.sender_id,
            row.is_test,
            row.reason,
        )
        for measure in (*TOLD, *REPORTED):
            if count := getattr(row, measure):
                found[*apart, measure] += count
    return found


def totals(dimension: str) -> Counter[str]:
    """What the counts of one dimension add up to."""
    found: Counter[str] = Counter()
    for row in HourlyCount.objects.filter(dimension=dimension):
        for measure in (*TOLD, *REPORTED):
            if count := getattr(row, measure):
                found[measure] += count
    return found
