from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.ids import uuid7
from messaging.models.message import Message
from messaging.models.sender import Sender


class Attempt(models.Model):
    """One hand-over to one sender: written before the call, completed after it.

    Without an outcome it is ambiguous: the provider may or may not have the message. `unknown_at`
    is set once and never cleared, so that every extra copy at a provider can be explained.
    """

    class Outcome(models.TextChoices):
        OPEN = "", _("open")
        ACCEPTED = "accepted", pgettext_lazy("by the provider", "accepted")
        TEMPORARY = "temporary", _("temporary failure")
        PERMANENT = "permanent", _("permanent failure")
        SENDER = "sender", _("the sender failed")
        UNKNOWN = "unknown", _("no answer")
        NOT_SENT = "not_sent", _("not handed over")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attempts", verbose_name=_("message")
    )
    sender = models.ForeignKey(
        Sender, on_delete=models.PROTECT, db_index=False, verbose_name=_("sender")
    )
    # Of the claim under which it was started.
    lease_token = models.PositiveIntegerField(_("lease token"))
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    unknown_at = models.DateTimeField(_("unknown since"), null=True)
    outcome = models.CharField(_("outcome"), max_length=9, choices=Outcome, blank=True)
    # Our word for the failure (`greylisted`, `credentials`, …) and how far the call came.
    kind = models.CharField(_("kind"), max_length=30, blank=True)
    phase = models.CharField(_("phase"), max_length=20, blank=True)
    provider_code = models.CharField(_("provider's code"), max_length=60, blank=True)
    # Addresses in it are masked.
    provider_words = models.CharField(_("provider's words"), max_length=500, blank=True)
    provider_message_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    # Recipients that were refused while others were taken: [{"recipient": "cc/0", "code", "words"}]
    refused = models.JSONField(_("refused recipients"), default=list, blank=True)
    # Who was chosen, who else could have been, and who was left out and why. Names only.
    decision = models.JSONField(_("decision of the pool"), default=dict, blank=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.CheckConstraint(
                name="attempt_is_finished_when_it_has_an_outcome",
                condition=Q(outcome="", finished_at__isnull=True)
                | (~Q(outcome="") & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            # Serves receipts, which know the provider's id only.
            models.Index(
                name="attempt_by_provider_id",
                fields=["provider_message_id"],
                condition=~Q(provider_message_id=""),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
