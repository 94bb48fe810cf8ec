"""What every page of the admin that changes something stands on: each change is in the audit log,
in the transaction that makes it."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts import audit
from accounts.models import Action


class AuditedAdmin(ModelAdmin):
    """Django's own history goes on beside it."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        audit.record(by=audit.of_request(request), action=Action.ADDED, obj=obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """`message` is Django's list of changes, or a sentence. Deeds with a name of their own are
        for `log_deed`."""
        details = {"note": message} if isinstance(message, str) else _told(message)
        if details:
            audit.record(by=audit.of_request(request), action=Action.CHANGED, obj=obj, **details)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        by = audit.of_request(request)
        for obj in queryset:
            audit.record(by=by, action=Action.DELETED, obj=obj)
        return super().log_deletions(request, queryset)

    def log_deed(self, request: HttpRequest, obj: Model, action: Action, **details: Any) -> None:
        """What a button did."""
        audit.record(by=audit.of_request(request), action=action, obj=obj, **details)
        words = action.value.replace("_", " ").capitalize()
        told = ", ".join(f"{name} {value}" for name, value in details.items())
        super().log_change(request, obj, f"{words}: {told}." if told else f"{words}.")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        if object_id and request.user.has_perm("accounts.view_auditentry"):
            extra_context = {
                **(extra_context or {}),
                "audit_url": entries_url(self.model, object_id),
            }
        response: HttpResponseBase = super().changeform_view(
            request, object_id, form_url, extra_context
        )
        return response


def entries_url(model: type[Model], object_id: str) -> str:
    """Where the entries of one object are."""
    query = urlencode({"q": f"{audit.type_of(model)}:{object_id}"})
    return f"{reverse('admin:accounts_auditentry_changelist')}?{query}"


def _told(message: list[dict[str, Any]]) -> dict[str, Any]:
    """Which fields changed, in Django's English words; of inlines, which rows."""
    fields: list[str] = []
    for one in message:
        for what, told in one.items():
            if what == "changed" and "name" not in told:
                fields += told.get("fields", [])
            else:
                fields.append(f"{told.get('name', '')} {what}".strip())
    return {"fields": fields} if fields else {}
