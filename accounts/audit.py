"""The audit log: one function writes it. In the transaction of the change, where there is one."""

import getpass
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from accounts.authentication import Caller
from accounts.models import AuditEntry, User
from core.masking import printable
from core.middleware import request_id_of

By = AuditEntry.By


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and in which request."""

    by: str
    name: str
    operator_id: int | None = None
    api_key_id: int | None = None
    request_id: str = ""


def of_request(request: Any) -> Actor:
    """The operator or the API key that a request of Django or REST framework comes from."""
    user = request.user
    if isinstance(user, Caller):
        return Actor(
            By.API_KEY, user.key_id, api_key_id=user.api_key_id, request_id=request_id_of(request)
        )
    return of_operator(user, request)


def of_operator(user: User, request: Any) -> Actor:
    return Actor(
        By.OPERATOR, user.get_username(), operator_id=user.pk, request_id=request_id_of(request)
    )


def of_command() -> Actor:
    """Who called `manage.py`, as the machine knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        name = "?"
    return Actor(By.COMMAND, name)


def record(
    *,
    by: Actor,
    action: str,
    obj: Model | None = None,
    kind: type[Model] | None = None,
    **details: Any,
) -> None:
    """Write that `by` did `action` to `obj`, or to several of a `kind`. `details` hold no secrets,
    addresses or contents."""
    subject = obj if obj is not None else kind
    AuditEntry.objects.create(
        by=by.by,
        operator_id=by.operator_id,
        api_key_id=by.api_key_id,
        actor=by.name[:150],
        action=action,
        object_type=type_of(subject) if subject is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        object_label=label_of(obj) if obj is not None else "",
        details=details,
        request_id=by.request_id,
    )


def type_of(obj: Model | type[Model]) -> str:
    return obj._meta.label_lower


def label_of(obj: Model) -> str:
    """What it is called. Rows whose own words say too much have an `audit_label`."""
    return printable(str(getattr(obj, "audit_label", obj)))[:200]
