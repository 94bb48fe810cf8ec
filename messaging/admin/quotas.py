"""Limits that senders share, and how much of all limits is used."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from accounts.audited import AuditedAdmin
from messaging.admin.reading import ReadOnlyAdmin
from messaging.models import Sender, SenderGroup, SenderWindow


def shown_use(owner: Sender | SenderGroup, window: str, *, now: datetime) -> str:
    """ "7 / 10", or "7" without a limit."""
    used, limit = owner.used_quota(now).get(window, 0), owner.limits().get(window)
    return f"{used} / {limit}" if limit is not None else str(used)


class WindowInline(TabularInline):
    """Of a sender or of a group."""

    model = SenderWindow
    fields = ["window", "started_at", "used"]
    readonly_fields = ["window", "started_at", "used"]
    extra = 0
    can_delete = False
    verbose_name_plural = _("used quota")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SenderWindow)
class SenderWindowAdmin(ReadOnlyAdmin):
    list_display = ["owner", "window", "started_at", "used"]
    list_select_related = ["sender", "group"]
    fields = ["sender", "group", "window", "started_at", "used"]
    search_fields = ()

    @display(description=_("sender or group"))
    def owner(self, row: SenderWindow) -> str:
        return str(row.sender or row.group)


@admin.register(SenderGroup)
class SenderGroupAdmin(AuditedAdmin):
    list_display = ["name", "minute", "hour", "day", "members"]
    list_fullwidth = True
    search_fields = ["name"]
    fields = ["name", ("per_minute", "per_hour"), ("per_day", "time_zone")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SenderGroup]:
        return super().get_queryset(request).prefetch_related("windows", "senders")

    def get_inlines(self, request: HttpRequest, obj: SenderGroup | None) -> Any:
        return [WindowInline] if obj is not None else []

    @display(description=_("used this minute"))
    def minute(self, group: SenderGroup) -> str:
        return self._use(group, "minute")

    @display(description=_("used this hour"))
    def hour(self, group: SenderGroup) -> str:
        return self._use(group, "hour")

    @display(description=_("used today"))
    def day(self, group: SenderGroup) -> str:
        return self._use(group, "day")

    @display(description=_("senders"))
    def members(self, group: SenderGroup) -> str:
        return ", ".join(sender.name for sender in group.senders.all()) or "–"

    def _use(self, group: SenderGroup, window: str) -> str:
        """Only the day is counted without a limit."""
        is_counted = window == "day" or window in group.limits()
        return shown_use(group, window, now=timezone.now()) if is_counted else "–"
