from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Application
from core.ids import uuid7
from core.vocabulary import Channel as ChannelChoices


class Batch(models.Model):
    """Messages that came in one request. Its counts by status are read from its messages."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, db_index=False, verbose_name=_("application")
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, db_index=False, verbose_name=_("API key")
    )
    channel = models.CharField(_("channel"), max_length=20, choices=ChannelChoices)
    # Of the items in the request. What was swallowed as a duplicate has no message of its own.
    accepted = models.PositiveIntegerField(_("accepted"))
    rejected = models.PositiveIntegerField(_("rejected"))
    deduplicated = models.PositiveIntegerField(_("duplicates"))
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = [models.Index(name="batch_newest", fields=["application", "id"])]

    def __str__(self) -> str:
        return str(self.pk)
