from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import validate_time_zone as validate_time_zone


class Limited(models.Model):
    """What has limits of messages by minute, hour and day, and counters in `windows`."""

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

    if TYPE_CHECKING:
        # The other end of `SenderWindow`.
        windows: Any

    class Meta:
        abstract = True

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

    def spent_window(self, now: datetime) -> str:
        """The window whose limit is reached; empty if none is."""
        used = self.used_quota(now)
        spent = (window for window, limit in self.limits().items() if used.get(window, 0) >= limit)
        return next(spent, "")

    def window_start(self, window: str, now: datetime) -> datetime:
        """When the window that holds `now` began. Days begin at midnight of the own zone."""
        if window == "day":
            local = now.astimezone(ZoneInfo(self.time_zone))
            return local.replace(hour=0, minute=0, second=0, microsecond=0)
        minute = 0 if window == "hour" else now.minute
        return now.replace(minute=minute, second=0, microsecond=0)


class SenderGroup(Limited):
    """Senders that share limits, as the mailboxes of one domain do. Each keeps its own as well."""

    name = models.SlugField(
        _("name"), max_length=60, unique=True, help_text=_("For example the domain.")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("sender group")
        verbose_name_plural = _("sender groups")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
