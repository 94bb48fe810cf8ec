"""The sentences of what is done to many messages: the question, what is said of it, the outcome."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from core.vocabulary import Channel, Lane
from messaging.jobs import HELD
from messaging.models import Feedback, Job, Reason, Status
from messaging.resending import COUNT_LIMIT

Kind = Job.Kind
TITLES = {
    Kind.RESEND: _("Send again"),
    Kind.CANCEL: _("Cancel"),
    Kind.MOVE: _("Move to another lane"),
    Kind.RELEASE: _("Release"),
}
BUTTONS = {
    Kind.RESEND: _("Send again"),
    Kind.CANCEL: _("Cancel what waits"),
    Kind.MOVE: _("Move"),
    Kind.RELEASE: _("Release"),
}
WHAT_HAPPENS = {
    Kind.RESEND: _("Each gets its whole lifetime anew and goes to whichever sender is free."),
    Kind.CANCEL: _("What a worker has already is sent. This cannot be undone."),
    Kind.MOVE: _("What is due there is sent in the order in which it became due."),
    Kind.RELEASE: _(
        "What waits for its time, for another try or for a sender is due at once. Where no sender "
        "can take it, it waits again."
    ),
}
STATUS_WORDS = dict(Status.choices) | {
    "scheduled": _("scheduled"),
    "retrying": _("retrying"),
    HELD: _("held by somebody else"),
    Reason.ATTACHMENT_GONE: Reason.ATTACHMENT_GONE.label,
}

# The parameters of `selection`, and those of their values that have words.
PARAMETERS = {
    "status": _("status"),
    "reason": _("reason"),
    "application": _("application"),
    "template": _("template"),
    "recipient": _("recipient"),
    "reference": _("reference"),
    "batch": _("batch"),
    "created": pgettext_lazy("when", "accepted"),
    "created_from": _("accepted from"),
    "created_to": _("accepted before"),
    "channel": _("channel"),
    "sender": _("sender"),
    "lane": _("priority"),
    "feedback": _("feedback"),
    "tag": _("tag"),
    "test": _("test messages"),
}
TEST_WORDS = {"no": _("left out")}
PERIODS = {
    "1h": _("last hour"),
    "1d": _("last 24 hours"),
    "7d": _("last 7 days"),
    "30d": _("last 30 days"),
}
VALUES: dict[str, Mapping[str, Any]] = {
    "status": STATUS_WORDS,
    "reason": dict(Reason.choices),
    "created": PERIODS,
    "channel": dict(Channel.choices),
    "lane": dict(Lane.choices),
    "feedback": dict(Feedback.choices),
    "test": TEST_WORDS,
}


def number(count: int) -> str:
    if count <= COUNT_LIMIT:
        return f"{count:,}"
    return gettext("more than %(count)s") % {"count": f"{COUNT_LIMIT:,}"}


def question(kind: str, count: int) -> str:
    if kind == Kind.RESEND:
        text = ngettext("Send %(count)s message again?", "Send %(count)s messages again?", count)
    elif kind == Kind.CANCEL:
        text = ngettext(
            "Cancel %(count)s message that still waits?",
            "Cancel %(count)s messages that still wait?",
            count,
        )
    elif kind == Kind.MOVE:
        text = ngettext(
            "Move %(count)s message that waits to another lane?",
            "Move %(count)s messages that wait to another lane?",
            count,
        )
    else:
        text = ngettext(
            "Release %(count)s message that waits?", "Release %(count)s messages that wait?", count
        )
    return text % {"count": number(count)}


def stay(kind: str, count: int) -> str:
    if kind == Kind.RESEND:
        text = ngettext(
            "%(count)s of the selected is neither failed nor unknown: it stays as it is.",
            "%(count)s of the selected are neither failed nor unknown: they stay so.",
            count,
        )
    else:
        text = ngettext(
            "%(count)s of the selected does not wait: it stays as it is.",
            "%(count)s of the selected do not wait: they stay as they are.",
            count,
        )
    return text % {"count": number(count)}


def may_duplicate(count: int) -> str:
    text = ngettext(
        "Of %(count)s message it is not known whether the provider took it: sending it again "
        "may duplicate it.",
        "Of %(count)s messages it is not known whether the provider took them: sending them "
        "again may duplicate them.",
        count,
    )
    return text % {"count": number(count)}


def may_duplicate_too(count: int) -> str:
    text = ngettext(
        "Of %(count)s further message it is not known whether the provider took it: sending it "
        "again may duplicate it. It is left out unless you say otherwise below.",
        "Of %(count)s further messages it is not known whether the provider took them: sending "
        "them again may duplicate them. They are left out unless you say otherwise below.",
        count,
    )
    return text % {"count": number(count)}


def include(count: int) -> str:
    text = ngettext(
        "Also send the %(count)s message that may have arrived.",
        "Also send the %(count)s messages that may have arrived.",
        count,
    )
    return text % {"count": number(count)}


def outcome(kind: str, count: int) -> str:
    if kind == Kind.RESEND:
        text = ngettext(
            "%(count)s message is on its way again.",
            "%(count)s messages are on their way again.",
            count,
        )
    elif kind == Kind.CANCEL:
        text = ngettext(
            "%(count)s message was cancelled.", "%(count)s messages were cancelled.", count
        )
    elif kind == Kind.MOVE:
        text = ngettext("%(count)s message was moved.", "%(count)s messages were moved.", count)
    else:
        text = ngettext("%(count)s message is due now.", "%(count)s messages are due now.", count)
    return text % {"count": number(count)}


def passed(counts: Mapping[str, int]) -> list[str]:
    """A sentence for each status in which some were passed over."""
    return [
        ngettext(
            "%(count)s was passed over: %(status)s.",
            "%(count)s were passed over: %(status)s.",
            count,
        )
        % {"count": number(count), "status": STATUS_WORDS.get(status, status)}
        for status, count in sorted(counts.items())
    ]
