import hashlib
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Application
from core.addresses import InvalidAddress, parse_address
from core.secrets import EncryptedJSONField
from core.vocabulary import Channel as ChannelChoices
from messaging.channels.base import Account
from messaging.models.limits import Limited, SenderGroup

# The first migration names it here.
from messaging.models.limits import validate_time_zone as validate_time_zone


def validate_from_address(text: str) -> None:
    try:
        if parse_address(text).name:
            raise ValidationError(_("Give the bare address here and the name in its own field."))
    except InvalidAddress as error:
        raise ValidationError(str(error)) from error


class Sender(Limited):
    """One account of the pool. Its health lives in its own row, so that every worker sees it."""

    name = models.SlugField(
        _("name"),
        max_length=60,
        unique=True,
        help_text=_("Short and lasting: logs and statistics use it."),
    )
    channel = models.CharField(_("channel"), max_length=20, choices=ChannelChoices)
    adapter = models.CharField(_("adapter"), max_length=40)
    from_address = models.CharField(
        _("from address"),
        max_length=254,
        blank=True,
        validators=[validate_from_address],
        help_text=_("Of e-mail; other channels have none."),
    )
    from_name = models.CharField(_("from name"), max_length=100, blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)
    credentials = EncryptedJSONField(_("credentials"))

    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switched off, it gets no more messages.")
    )
    priority = models.IntegerField(
        _("priority"), default=0, help_text=_("Higher goes first; lower ones serve when it cannot.")
    )
    weight = models.PositiveIntegerField(
        _("weight"),
        default=100,
        validators=[MinValueValidator(1)],
        help_text=_("Its share among senders of the same priority."),
    )
    max_connections = models.PositiveSmallIntegerField(
        _("connections"),
        default=4,
        db_default=4,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("At the same time, per worker process."),
    )
    # Protected: with the group its limits would go, and nobody would notice.
    group = models.ForeignKey(
        SenderGroup,
        on_delete=models.PROTECT,
        related_name="senders",
        null=True,
        blank=True,
        verbose_name=pgettext_lazy("of senders", "group"),
        help_text=_("Its limits hold for all its senders together, beside their own."),
    )
    applications = models.ManyToManyField(
        Application,
        blank=True,
        related_name="+",
        verbose_name=_("applications"),
        help_text=_("Only these may use it. Empty: all."),
    )

    # Health. Written by `messaging.sender_health` only.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    # Calls and failed calls of the minute that began at `calls_since`.
    calls = models.PositiveIntegerField(_("calls"), default=0, db_default=0, editable=False)
    failed_calls = models.PositiveIntegerField(
        _("failed calls"), default=0, db_default=0, editable=False
    )
    calls_since = models.DateTimeField(_("calls since"), null=True, editable=False)
    # Set while the breaker is open: in the future it rests, in the past one message may try it.
    benched_until = models.DateTimeField(_("benched until"), null=True, blank=True, editable=False)
    benches = models.PositiveIntegerField(
        _("benched in a row"), default=0, db_default=0, editable=False
    )
    # Until when the worker that tries it may take.
    probe_until = models.DateTimeField(_("being tried until"), null=True, editable=False)
    recovered_at = models.DateTimeField(_("recovered at"), null=True, editable=False)
    last_failure_kind = models.CharField(
        _("last failure"), max_length=30, blank=True, editable=False
    )
    last_failure_words = models.CharField(
        _("last words of the provider"), max_length=500, blank=True, editable=False
    )
    last_failure_at = models.DateTimeField(_("last failure at"), null=True, editable=False)

    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("sender")
        verbose_name_plural = _("senders")
        permissions = [("operate_sender", _("Can pause, resume, reset and test senders"))]
        ordering = ["channel", "-priority", "name"]
        constraints = [
            models.CheckConstraint(
                name="sender_weight_is_at_least_one", condition=Q(weight__gte=1)
            ),
            models.CheckConstraint(
                name="sender_channel_is_known", condition=Q(channel__in=ChannelChoices.values)
            ),
            models.CheckConstraint(
                name="sender_has_1_to_100_connections", condition=Q(max_connections__range=(1, 100))
            ),
            models.CheckConstraint(
                name="sender_is_tried_only_while_benched",
                condition=Q(probe_until__isnull=True) | Q(benched_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def open_credentials(self) -> dict[str, Any]:
        """The one place that opens the secrets. Raises `core.secrets.UnreadableSecret`."""
        sealed = self.credentials
        opened: dict[str, Any] = sealed.open() if hasattr(sealed, "open") else (sealed or {})
        return opened

    def account(self) -> Account:
        """The sender as its adapter sees it. Raises `core.secrets.UnreadableSecret`."""
        credentials = self.open_credentials()
        shown = [self.adapter, self.from_address, self.from_name, self.options, credentials]
        digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
        return Account(
            sender_id=self.pk,
            name=self.name,
            options=self.options,
            credentials=credentials,
            from_address=self.from_address,
            from_name=self.from_name,
            digest=digest,
        )

    @classmethod
    def lock_all(cls, channel: str) -> dict[int, "Sender"]:
        """The senders of `channel` by id, locked until the transaction ends, always in the order of
        their ids: whoever writes to several senders begins here and cannot wait in a ring. New
        attempts, which only refer to them, go on."""
        rows = cls.objects.select_for_update(no_key=True).filter(channel=channel).order_by("pk")
        return {sender.pk: sender for sender in rows}
