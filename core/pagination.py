"""Pages that cost the same on ten thousand and on ten million rows."""

import base64
import binascii
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import UUIDField
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import Code, FieldError
from core.problems import ProblemError

COUNT_LIMIT = 10_000


class BoundedPagination(BasePagination):
    """Newest first. `page` for people, as deep as 10,000 rows; `cursor` for machines, any depth.

    The total is counted through a subquery that stops at 10,001 rows.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        queryset = queryset.order_by("-pk")
        self.page_size = _number(request, "page_size", settings.PAGE_SIZE, settings.MAX_PAGE_SIZE)
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            if "page" in request.query_params:
                raise _refusal("cursor", "Give either page or cursor, not both.")
            self.page: int | None = None
            is_uuid = isinstance(queryset.model._meta.pk, UUIDField)
            before = _read_cursor(cursor, is_uuid=is_uuid)
            rows = _newest(queryset.filter(pk__lt=before), self.page_size + 1, view)
            rows = rows[: self.page_size + 1]
            self.total: int | None = None
        else:
            self.page = _number(request, "page", 1, COUNT_LIMIT // self.page_size)
            self.total = queryset.order_by()[: COUNT_LIMIT + 1].count()
            start = (self.page - 1) * self.page_size
            end = start + self.page_size + 1
            rows = _newest(queryset, end, view)[start:end]
        found = list(rows)
        self.has_more = len(found) > self.page_size
        self.results = found[: self.page_size]
        return self.results

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "results": data,
                "page": self.page,
                "page_size": self.page_size,
                "total": None if self.total is None else min(self.total, COUNT_LIMIT),
                "total_is_exact": self.total is not None and self.total <= COUNT_LIMIT,
                "has_more": self.has_more,
                "next_cursor": _write_cursor(self.results[-1].pk) if self.has_more else None,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        def nullable(kind: str) -> dict[str, Any]:
            return {"type": [kind, "null"]}

        return {
            "type": "object",
            "required": ["results", "page", "page_size", "total", "has_more", "next_cursor"],
            "properties": {
                "results": schema,
                "page": nullable("integer"),
                "page_size": {"type": "integer"},
                "total": nullable("integer") | {"description": "At most 10,000; null by cursor."},
                "total_is_exact": {"type": "boolean"},
                "has_more": {"type": "boolean"},
                "next_cursor": nullable("string"),
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        def parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
            return {
                "name": name,
                "in": "query",
                "required": False,
                "schema": schema,
                "description": text,
            }

        return [
            parameter(
                "page",
                {"type": "integer", "minimum": 1, "maximum": COUNT_LIMIT},
                "From 1, as deep as 10,000 rows; not together with `cursor`.",
            ),
            parameter(
                "page_size",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": settings.MAX_PAGE_SIZE,
                    "default": settings.PAGE_SIZE,
                },
                "Rows a page.",
            ),
            parameter(
                "cursor",
                {"type": "string", "format": "cursor"},
                "`next_cursor` of the page before.",
            ),
        ]


def _newest(queryset: Any, count: int, view: Any) -> Any:
    """A view may know a cheaper way to the newest `count` rows."""
    narrow = getattr(view, "narrow_to_newest", None)
    return narrow(queryset, count) if narrow is not None else queryset


def _number(request: Request, name: str, default: int, maximum: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= maximum):
        hint = " Deeper pages are reached by cursor." if name == "page" else ""
        raise _refusal(name, f"It must be a whole number from 1 to {maximum}.{hint}")
    return int(text)


def _refusal(name: str, detail: str) -> ProblemError:
    return ProblemError(
        Code.INVALID_REQUEST, errors=(FieldError(f"?{name}", "invalid_parameter", detail),)
    )


def _write_cursor(pk: UUID | int) -> str:
    raw = pk.bytes if isinstance(pk, UUID) else pk.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read_cursor(text: str, *, is_uuid: bool) -> UUID | int:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if is_uuid:
            return UUID(bytes=raw)
        if len(raw) == 8 and raw[0] < 0x80:
            return int.from_bytes(raw, "big")
    except (binascii.Error, ValueError):
        pass
    raise _refusal("cursor", "It is none that this API has given out.")
