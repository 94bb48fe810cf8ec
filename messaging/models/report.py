import secrets

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messaging.models.message import Feedback, Message
from messaging.models.sender import Sender


def new_hook_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


class SenderHook(models.Model):
    """The secret part of the address at which one sender's provider reports."""

    sender = models.OneToOneField(
        Sender, on_delete=models.CASCADE, related_name="hook", verbose_name=_("sender")
    )
    token = models.CharField(max_length=64, unique=True, default=new_hook_token, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("address for reports")
        verbose_name_plural = _("addresses for reports")

    def __str__(self) -> str:
        return gettext("of sender %(id)s") % {"id": self.sender_id}


class ProviderReport(models.Model):
    """What a provider posted, as it came: verified, stored, answered, and only then understood.

    `due_at` is set while it waits to be processed, also again: it may have overtaken the outcome of
    the hand-over that it speaks of. Deleted after 30 days.
    """

    sender = models.ForeignKey(
        Sender, on_delete=models.CASCADE, db_index=False, verbose_name=_("sender")
    )
    received_at = models.DateTimeField(_("received at"), db_default=Now())
    body = models.BinaryField(_("body"))
    # Those that are needed to read the body; the others served to verify it, and are gone.
    headers = models.JSONField(_("headers"), default=dict)
    due_at = models.DateTimeField(_("due at"), null=True, db_default=Now())
    tries = models.PositiveSmallIntegerField(_("tries"), default=0, db_default=0)
    processed_at = models.DateTimeField(_("processed at"), null=True)
    error = models.CharField(_("what is wrong"), max_length=300, blank=True, db_default="")

    class Meta:
        verbose_name = _("report of a provider")
        verbose_name_plural = _("reports of providers")
        constraints = [
            models.CheckConstraint(
                name="report_is_due_until_it_is_processed",
                condition=Q(due_at__isnull=True, processed_at__isnull=False)
                | Q(due_at__isnull=False, processed_at__isnull=True),
            ),
        ]
        indexes = [
            # Serves the workers that process them.
            models.Index(name="report_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
            # Serves housekeeping, which deletes old ones.
            models.Index(name="report_by_age", fields=["received_at"]),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class FeedbackEvent(models.Model):
    """One piece of news about a message that a provider took. `key` tells repeats."""

    message = models.ForeignKey(
        Message,
        on_delete=models.CASCADE,
        related_name="feedback_events",
        verbose_name=_("message"),
    )
    sender = models.ForeignKey(
        Sender, on_delete=models.PROTECT, db_index=False, verbose_name=_("sender")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Feedback)
    # The position in the envelope (`to/0`); empty where the provider did not say.
    recipient = models.CharField(_("recipient"), max_length=8, blank=True)
    # By the provider's clock, where it said.
    at = models.DateTimeField(_("at"))
    # Addresses in it are masked.
    words = models.CharField(_("provider's words"), max_length=500, blank=True)
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        constraints = [
            models.UniqueConstraint(name="feedback_is_counted_once", fields=["sender", "key"]),
        ]

    def __str__(self) -> str:
        facts = {"part": self.get_kind_display(), "whole": self.message_id}
        return gettext("%(part)s of %(whole)s") % facts
