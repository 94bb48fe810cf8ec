from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.ids import uuid7
from core.secrets import EncryptedJSONField


class WebhookEvent(models.TextChoices):
    """What an application can be told. The names are public API."""

    SUCCESS = "message.success", _("the provider took it")
    FAILED = "message.failed", _("failed")
    UNKNOWN = "message.unknown", _("its outcome is unknown")
    CANCELLED = "message.cancelled", _("cancelled")
    # What the provider reported later: `message.` and a value of `Feedback`.
    DEFERRED = "message.deferred", _("deferred")
    DELIVERED = "message.delivered", _("delivered")
    OPENED = "message.opened", _("opened")
    CLICKED = "message.clicked", _("clicked")
    BOUNCED = "message.bounced", _("bounced")
    UNSUBSCRIBED = "message.unsubscribed", _("unsubscribed")
    COMPLAINED = "message.complained", _("complained")


# Asked for by a person, to see whether an endpoint hears. Nobody subscribes to it.
PING = "ping"


def validate_events(value: object) -> None:
    known = WebhookEvent.values
    if not isinstance(value, list) or not value or not all(each in known for each in value):
        raise ValidationError(
            _("Give a list of at least one of: %(events)s."), params={"events": ", ".join(known)}
        )


def all_events() -> list[str]:
    return list(WebhookEvent.values)


class WebhookEndpoint(models.Model):
    """Where an application wants to be told. Its secrets leave the database only to sign."""

    class DisabledReason(models.TextChoices):
        OWNER = "owner", _("switched off by its application")
        OPERATOR = "operator", _("switched off by an operator")
        GONE = "gone", _("it answered 410 Gone")
        FAILING = "failing", _("it failed for days")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application,
        on_delete=models.PROTECT,
        related_name="webhook_endpoints",
        verbose_name=_("application"),
    )
    url = models.CharField(_("URL"), max_length=500)
    description = models.CharField(_("description"), max_length=200, blank=True)
    events = models.JSONField(_("events"), default=all_events, validators=[validate_events])
    is_active = models.BooleanField(_("active"), default=True)
    disabled_at = models.DateTimeField(_("disabled at"), null=True, editable=False)
    disabled_reason = models.CharField(
        _("why it is off"), max_length=8, choices=DisabledReason, blank=True, editable=False
    )
    # `whsec_…`. The former one signs too until `old_secret_until`.
    secret = EncryptedJSONField(_("secret"))
    old_secret = EncryptedJSONField(_("former secret"))
    old_secret_until = models.DateTimeField(_("former secret until"), null=True, editable=False)
    # Since when no call went well, and how many there were since then.
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    last_success_at = models.DateTimeField(_("last success at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    # Out of sight at once; the row goes when its log has gone.
    deleted_at = models.DateTimeField(_("deleted at"), null=True, editable=False)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="webhook_endpoint_that_is_off_says_why",
                condition=Q(is_active=True, disabled_at__isnull=True, disabled_reason="")
                | (Q(is_active=False, disabled_at__isnull=False) & ~Q(disabled_reason="")),
            ),
            models.CheckConstraint(
                name="webhook_endpoint_that_is_deleted_is_off",
                condition=Q(deleted_at__isnull=True) | Q(is_active=False),
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def audit_label(self) -> str:
        """Without its path: receivers keep secrets there."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint: written together with what it tells of, called later.

    `payload` is the body, as it was when it happened; it names no recipient and no content.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERING = "delivering", _("delivering")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_index=False,
        verbose_name=_("endpoint"),
    )
    # The same for all endpoints and all tries: receivers know by it what they have.
    event_id = models.UUIDField(_("event id"), default=uuid7, editable=False)
    event = models.CharField(_("event"), max_length=30)
    message_id = models.UUIDField(_("message"), null=True)
    payload = models.JSONField(_("payload"))
    # Not `status`, which is a message's and has one writer.
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    due_at = models.DateTimeField(_("due at"))
    leased_until = models.DateTimeField(_("leased until"), null=True)
    # Rises with every claim: who holds an older one holds nothing any more.
    lease_token = models.PositiveIntegerField(_("lease token"), default=0)
    # Since it was made or replayed.
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    last_code = models.PositiveSmallIntegerField(_("last answer"), null=True)
    last_words = models.CharField(_("what happened"), max_length=300, blank=True)
    # The latest tries: [{"at", "code", "words", "milliseconds"}].
    history = models.JSONField(_("tries so far"), default=list, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        constraints = [
            models.CheckConstraint(
                name="webhook_delivery_is_leased_only_while_delivering",
                condition=Q(state="delivering", leased_until__isnull=False)
                | (~Q(state="delivering") & Q(leased_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="webhook_delivery_is_finished_when_its_state_is_final",
                condition=Q(state__in=["delivered", "failed"], finished_at__isnull=False)
                | Q(state__in=["pending", "delivering"], finished_at__isnull=True),
            ),
        ]
        indexes = [
            # Serves the dispatcher, which claims for each endpoint by itself: those of one that is
            # off or busy are in nobody's way.
            models.Index(
                name="webhook_delivery_due",
                fields=["endpoint", "due_at"],
                condition=Q(state="pending"),
            ),
            # Serves the look for leases that ran out.
            models.Index(
                name="webhook_delivery_leased",
                fields=["leased_until"],
                condition=Q(state="delivering"),
            ),
            # Serve the log, newest first, and in it the few that failed.
            models.Index(name="webhook_delivery_newest", fields=["endpoint", "id"]),
            models.Index(
                name="webhook_delivery_failed",
                fields=["endpoint", "id"],
                condition=Q(state="failed"),
            ),
            # Serves "what was told of this message".
            models.Index(
                name="webhook_delivery_by_message",
                fields=["message_id"],
                condition=Q(message_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
