from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Application
from core.ids import uuid7
from core.vocabulary import Channel as ChannelChoices
from core.vocabulary import Lane, Policy
from messaging.models.batch import Batch
from messaging.models.sender import Sender
from templates_app.models import TemplateVersion


class Status(models.TextChoices):
    PENDING = "pending", _("pending")
    SENDING = "sending", _("sending")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")
    UNKNOWN = "unknown", _("unknown")
    CANCELLED = "cancelled", _("cancelled")


class Reason(models.TextChoices):
    """Why a message failed, or why it waits. One list for API, admin, metrics and docs."""

    # Failed.
    REJECTED = "rejected", _("rejected by the provider")
    HARD_BOUNCE = "hard_bounce", _("no such recipient")
    BLOCKED = "blocked", _("blocked by the recipient's provider")
    EXPIRED = "expired", _("expired before it could be sent")
    EXHAUSTED = "exhausted", _("too many attempts")
    SUPPRESSED = "suppressed", _("recipient is suppressed")
    ATTACHMENT_GONE = "attachment_gone", _("an attachment is not stored any more")
    POISON = "poison", _("its workers died again and again")
    UNKNOWN_OUTCOME = "unknown_outcome", _("no answer; it may have arrived")
    # Waiting.
    NO_SENDER = "no_sender", _("waits for a sender")
    TEMPORARY = "temporary_failure", _("waits to be tried again")
    LEASE_LOST = "lease_lost", _("its worker was lost; nothing was sent")
    RESENT = "resent", _("sent again by an operator")


WAITING_REASONS = frozenset({Reason.NO_SENDER, Reason.TEMPORARY, Reason.LEASE_LOST, Reason.RESENT})


class Feedback(models.TextChoices):
    """What the provider reported after it took the message, in rising rank."""

    DEFERRED = "deferred", _("deferred")
    DELIVERED = "delivered", _("delivered")
    OPENED = "opened", _("opened")
    CLICKED = "clicked", _("clicked")
    BOUNCED = "bounced", _("bounced")
    UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
    COMPLAINED = "complained", _("complained")


class Message(models.Model):
    """One envelope to one recipient (for e-mail: one `to` list with cc and bcc).

    `content` is a snapshot: later changes of templates or senders do not touch it. Only
    `messaging.states` writes `status` and what hangs on it.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, db_index=False, verbose_name=_("application")
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, db_index=False, verbose_name=_("API key")
    )
    channel = models.CharField(_("channel"), max_length=20, choices=ChannelChoices)
    lane = models.CharField(_("priority"), max_length=6, choices=Lane, default=Lane.NORMAL)
    policy = models.CharField(
        _("policy"), max_length=13, choices=Policy, default=Policy.AT_LEAST_ONCE
    )
    # The first `to`, in lower case, for finding it again. Further ones are `OtherRecipient`s.
    recipient = models.CharField(_("recipient"), max_length=254)
    content = models.JSONField(_("content"))
    # What it was rendered from, and the names, never the values, of the variables that were given.
    template_version = models.ForeignKey(
        TemplateVersion,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("template version"),
    )
    variable_names = models.JSONField(_("variables"), null=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    batch = models.ForeignKey(
        Batch, on_delete=models.PROTECT, null=True, db_index=False, verbose_name=_("batch")
    )

    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.PENDING)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    reason_detail = models.CharField(_("what happened"), max_length=500, blank=True)
    feedback = models.CharField(_("feedback"), max_length=12, choices=Feedback, blank=True)
    # The sender that took it, or that tried last.
    sender = models.ForeignKey(
        Sender, on_delete=models.PROTECT, null=True, db_index=False, verbose_name=_("sender")
    )
    # Set for tests of one sender: nobody else may take it.
    only_sender = models.ForeignKey(
        Sender,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("bound to the sender"),
    )

    created_at = models.DateTimeField(_("created at"), db_default=Now())
    # When its caller wants it sent, where that is not at once. `due_at` moves with every retry.
    send_at = models.DateTimeField(_("to be sent at"), null=True)
    due_at = models.DateTimeField(_("due at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)

    leased_until = models.DateTimeField(_("leased until"), null=True)
    # Rises with every claim: who holds an older one holds nothing any more.
    lease_token = models.PositiveIntegerField(_("lease token"), default=0)
    # Claims since the last outcome; 5 without one make the message poison.
    claims = models.PositiveSmallIntegerField(_("claims"), default=0)
    # Tries that were charged to the message. A sender's own failure is not.
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    # Times it was sent again because an outcome stayed unknown; at most 1.
    unknown_resends = models.PositiveSmallIntegerField(_("resends after silence"), default=0)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions = [("see_contents", _("Can see recipients and contents"))]
        constraints = [
            models.CheckConstraint(
                name="message_is_leased_only_while_sending",
                condition=Q(status=Status.SENDING, leased_until__isnull=False)
                | (~Q(status=Status.SENDING) & Q(leased_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="message_that_failed_says_why",
                condition=~Q(status=Status.FAILED) | ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="message_is_finished_when_its_status_is_final",
                condition=Q(
                    status__in=[Status.SUCCESS, Status.FAILED, Status.CANCELLED],
                    finished_at__isnull=False,
                )
                | Q(
                    status__in=[Status.PENDING, Status.SENDING, Status.UNKNOWN],
                    finished_at__isnull=True,
                ),
            ),
            models.CheckConstraint(name="message_lane_is_known", condition=Q(lane__in=Lane.values)),
            models.CheckConstraint(
                name="message_policy_is_known", condition=Q(policy__in=Policy.values)
            ),
        ]
        indexes = [
            # Serves `states.claim_due()`, which every worker runs before every batch.
            models.Index(
                name="message_due",
                fields=["channel", "lane", "due_at"],
                condition=Q(status=Status.PENDING),
            ),
            # Serves the sweep for leases that ran out.
            models.Index(
                name="message_leased",
                fields=["leased_until"],
                condition=Q(status=Status.SENDING),
            ),
            # Serves the sweep for outcomes that stayed unknown.
            models.Index(
                name="message_unknown", fields=["due_at"], condition=Q(status=Status.UNKNOWN)
            ),
            # Serves whoever sends messages again: without, a rare reason among 300,000 failed ones
            # of two millions was counted in 1.3 s, with it in 1 ms.
            models.Index(
                name="message_to_send_again",
                fields=["status", "reason", "id"],
                condition=Q(status__in=[Status.FAILED, Status.UNKNOWN]),
            ),
            # Serves the gauges of what waits for a sender, at every scrape.
            models.Index(
                name="message_without_sender",
                fields=["channel", "lane", "created_at"],
                condition=Q(status=Status.PENDING, reason=Reason.NO_SENDER),
            ),
            # Serve the lists of API and admin, newest first.
            models.Index(name="message_newest", fields=["application", "id"]),
            models.Index(name="message_by_status", fields=["application", "status", "id"]),
            # Serve "where is the mail to …" and "where is order 4711".
            models.Index(name="message_by_recipient", fields=["recipient", "id"]),
            models.Index(
                name="message_by_reference",
                fields=["application", "reference", "id"],
                condition=~Q(reference=""),
            ),
            # Serves "what was sent by this template", and who uses it, newest first.
            models.Index(
                name="message_of_template",
                fields=["template_version", "application", "id"],
                condition=Q(template_version__isnull=False),
            ),
            # Serves a batch: its list, its counts by status, and its cancelling.
            models.Index(
                name="message_by_batch",
                fields=["batch", "status", "id"],
                condition=Q(batch__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class OtherRecipient(models.Model):
    """A recipient beyond the first `to`, so that the message is found by it too."""

    class Role(models.TextChoices):
        TO = "to", "to"
        CC = "cc", "cc"
        BCC = "bcc", "bcc"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="other_recipients")
    role = models.CharField(_("role"), max_length=3, choices=Role)
    address = models.CharField(_("address"), max_length=254)

    class Meta:
        verbose_name = _("further recipient")
        verbose_name_plural = _("further recipients")
        indexes = [models.Index(name="other_recipient_by_address", fields=["address", "message"])]

    def __str__(self) -> str:
        facts = {"part": self.role, "whole": self.message_id}
        return gettext("%(part)s of %(whole)s") % facts
