"""What the lists of applications and keys show beside the rows."""

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from accounts import usage
from accounts.keys import expiring, unused, valid
from accounts.models import ApiKey, Application


class ApplicationList(ChangeList):
    """Each application of the page with its `use` of today, asked for once for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        uses = usage.use_of(list(self.result_list), now=timezone.now())
        for application in self.result_list:
            application.use = uses[application.pk]


def with_keys(applications: QuerySet[Application]) -> QuerySet[Application]:
    """With `valid_keys` and `last_use`."""
    now = timezone.now()
    is_valid = Q(api_keys__revoked_at=None) & (
        Q(api_keys__expires_at=None) | Q(api_keys__expires_at__gt=now)
    )
    return applications.annotate(
        valid_keys=Count("api_keys", filter=is_valid),
        last_use=Max("api_keys__last_used_at"),
    )


class KeyStateFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("valid", _("valid")),
            ("expiring", _("expires soon")),
            ("unused", _("not used lately")),
            ("expired", _("expired")),
            ("switched_off", _("application switched off")),
            ("revoked", _("revoked")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = timezone.now()
        conditions = {
            "valid": valid(now),
            "expiring": expiring(now),
            "unused": unused(now),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "switched_off": Q(revoked_at=None, application__is_active=False)
            & (Q(expires_at=None) | Q(expires_at__gt=now)),
            "revoked": Q(revoked_at__isnull=False),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)
