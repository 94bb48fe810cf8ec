"""The query parameters of a list, checked by a serializer."""

from typing import Any, TypeVar

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from core.errors import Code, FieldError
from core.problems import ProblemError

# `core.pagination` reads these itself.
PAGE_PARAMETERS = frozenset({"page", "page_size", "cursor"})

Kind = TypeVar("Kind", bound=Serializer[Any])


def read_query(request: Request, kind: type[Serializer[Any]], **context: Any) -> dict[str, Any]:
    """What `kind`, which has `context`, makes of the parameters that are not about the page. Raises
    `ProblemError` that names each wrong one as `?name`."""
    parameters = request.query_params.items()
    given = {name: value for name, value in parameters if name not in PAGE_PARAMETERS}
    found: dict[str, Any] = _checked(kind(data=given, context=context)).validated_data
    return found


def checked_query(request: Request, kind: type[Kind], **context: Any) -> Kind:
    """As `read_query`, of what has no pages."""
    return _checked(kind(data=dict(request.query_params.items()), context=context))


def _checked(asked: Kind) -> Kind:
    if not asked.is_valid():
        raise ProblemError(
            Code.INVALID_REQUEST,
            errors=tuple(
                FieldError(f"?{name}", str(detail.code), str(detail))
                for name, details in asked.errors.items()
                for detail in details
            ),
        )
    return asked
