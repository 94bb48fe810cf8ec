import hashlib
import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.addresses import InvalidAddress, parse_address
from core.secrets import EncryptedJSONField
from messaging.channels.base import Account, Channel


class ChannelChoices(models.TextChoices):
    EMAIL = Channel.EMAIL.value, _("e-mail")


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)s is no time zone, for example Asia/Shanghai."), params={"name": name}
        )


def validate_from_address(text: str) -> None:
    try:
        if parse_address(text).name:
            raise ValidationError(_("Give the bare address here and the name in its own field."))
    except InvalidAddress as error:
        raise ValidationError(str(error)) from error


class Sender(models.Model):
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
        _("from address"), max_length=254, validators=[validate_from_address]
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
    per_minute = models.PositiveIntegerField(_("limit per minute"), null=True, blank=True)
    per_hour = models.PositiveIntegerField(_("limit per hour"), null=True, blank=True)
    per_day = models.PositiveIntegerField(_("limit per day"), null=True, blank=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text=_("In which its days begin."),
    )
    applications = models.ManyToManyField(
        Application,
        blank=True,
        related_name="+",
        verbose_name=_("applications"),
        help_text=_("Only these may use it. Empty: all."),
    )

    # Health. Written by `messaging.sender_pool` only.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    benched_until = models.DateTimeField(_("benched until"), null=True, blank=True, editable=False)
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
        ordering = ["channel", "-priority", "name"]
        constraints = [
            models.CheckConstraint(
                name="sender_weight_is_at_least_one", condition=Q(weight__gte=1)
            ),
            models.CheckConstraint(
                name="sender_channel_is_known", condition=Q(channel__in=ChannelChoices.values)
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

    def limits(self) -> dict[str, int]:
        """Messages by window, of those windows that are limited."""
        all_limits = {"minute": self.per_minute, "hour": self.per_hour, "day": self.per_day}
        return {window: limit for window, limit in all_limits.items() if limit is not None}

    def used_quota(self, now: datetime) -> dict[str, int]:
        """Messages by window, of those windows that `now` is in. Reads `windows`, which lists
        prefetch."""
        return {
            row.window: row.used
            for row in self.windows.all()
            if row.started_at >= self.window_start(row.window, now)
        }

    def window_start(self, window: str, now: datetime) -> datetime:
        """When the window that holds `now` began. Days begin at midnight of the sender's zone."""
        if window == "day":
            local = now.astimezone(ZoneInfo(self.time_zone))
            return local.replace(hour=0, minute=0, second=0, microsecond=0)
        minute = 0 if window == "hour" else now.minute
        return now.replace(minute=minute, second=0, microsecond=0)


class SenderWindow(models.Model):
    """How much of a limit is used. A row per sender and window, moved on when a new window begins:
    right under concurrency, and right when every cache was flushed."""

    class Window(models.TextChoices):
        MINUTE = "minute", _("minute")
        HOUR = "hour", _("hour")
        DAY = "day", _("day")

    sender = models.ForeignKey(
        Sender, on_delete=models.CASCADE, related_name="windows", db_index=False
    )
    window = models.CharField(_("window"), max_length=6, choices=Window)
    started_at = models.DateTimeField(_("started at"))
    used = models.PositiveIntegerField(_("used"), default=0)

    class Meta:
        verbose_name = _("used quota")
        verbose_name_plural = _("used quotas")
        constraints = [
            models.UniqueConstraint(
                fields=["sender", "window"], name="sender_has_one_row_per_window"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.used} in the {self.window} from {self.started_at:%Y-%m-%d %H:%M}"
