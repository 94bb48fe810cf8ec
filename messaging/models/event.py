from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messaging.models.message import Message


class Event(models.Model):
    """What happened to a message and stands nowhere else.

    Acceptance is the message's own row, and each hand-over with its outcome is an attempt; a
    message that goes well therefore has no event at all (`docs/adr/0002-the-story-is-read.md`).
    """

    class Kind(models.TextChoices):
        WAITS_FOR_SENDER = "waits_for_sender", _("waits for a sender")
        LEASE_LOST = "lease_lost", _("its worker was lost")
        OUTCOME_UNKNOWN = "outcome_unknown", _("its outcome is unknown")
        SENT_AGAIN = "sent_again", _("sent again after silence")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        RESENT = "resent", _("sent again by an operator")
        LATE_SUCCESS = "late_success", _("a late positive answer")
        RESCHEDULED = "rescheduled", _("put off or brought forward")
        LANE_CHANGED = "lane_changed", _("moved to another lane")
        RELEASED = "released", _("released by an operator")
        DUPLICATE = "duplicate", _("asked for again and not sent twice")

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="events", verbose_name=_("message")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    at = models.DateTimeField(_("at"), db_default=Now())
    # Who did it, where a person did.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        verbose_name=_("operator"),
    )
    details = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        facts = {"part": self.get_kind_display(), "whole": self.message_id}
        return gettext("%(part)s of %(whole)s") % facts
