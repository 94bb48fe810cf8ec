from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Application
from core.ids import uuid7
from messaging.models.message import Message


class Attachment(models.Model):
    """An uploaded file. Its bytes lie in the storage `attachments` under `stored_as`, a random name
    that nobody outside learns; they are written before this row and removed before it."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, db_index=False, verbose_name=_("application")
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, db_index=False, verbose_name=_("API key")
    )
    filename = models.CharField(_("filename"), max_length=150)
    # Ours, by what was found in the file; what the caller called it is not kept.
    content_type = models.CharField(_("content type"), max_length=100)
    size = models.PositiveIntegerField(_("size"))
    # In hex.
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    stored_as = models.CharField(_("stored as"), max_length=100, unique=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    # Until then messages may be sent with it.
    expires_at = models.DateTimeField(_("expires at"))
    # When the clean-up looks whether the file is still needed, and later whether this row is.
    look_at = models.DateTimeField(_("looked at next"))
    # The file is gone; the row stays as long as messages refer to it.
    removed_at = models.DateTimeField(_("removed at"), null=True)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        permissions = [("download_attachment", _("Can download attachments"))]
        constraints = [
            models.CheckConstraint(name="attachment_is_not_empty", condition=Q(size__gt=0)),
            models.CheckConstraint(
                name="attachment_is_looked_at_after_it_expired",
                condition=Q(look_at__gt=models.F("expires_at")),
            ),
        ]
        indexes = [
            # Serves the clean-up.
            models.Index(name="attachment_to_look_at", fields=["look_at"]),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class MessageAttachment(models.Model):
    """A file that goes with a message. What a worker needs of it stands in the message's content;
    this keeps the file as long as the message may need it."""

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, db_index=False, related_name="message_attachments"
    )
    attachment = models.ForeignKey(
        Attachment,
        on_delete=models.PROTECT,
        # The constraint below begins with it.
        db_index=False,
        related_name="message_attachments",
    )
    position = models.PositiveSmallIntegerField(_("position"))
    # With one it is shown where the HTML says `cid:` and that; without, it is a file beside it.
    content_id = models.CharField(_("content id"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("attachment of a message")
        verbose_name_plural = _("attachments of messages")
        constraints = [
            models.UniqueConstraint(
                name="attachments_of_a_message_have_an_order", fields=["message", "position"]
            ),
            models.UniqueConstraint(
                name="message_takes_an_attachment_once", fields=["attachment", "message"]
            ),
        ]

    def __str__(self) -> str:
        facts = {"part": self.attachment_id, "whole": self.message_id}
        return gettext("%(part)s of %(whole)s") % facts

    @property
    def disposition(self) -> str:
        return "inline" if self.content_id else "attachment"
