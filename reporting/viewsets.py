from collections.abc import Callable, Iterator
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from core.queries import checked_query
from core.spreadsheets import CsvRenderer
from reporting import reading
from reporting.serializers import SummaryAnswer, SummaryQuery, TimeSeriesAnswer, TimeSeriesQuery
from reporting.tables import summary_table, timeseries_table

COHORTS = (
    "Messages count in the hour in which they were accepted, with the status and feedback that "
    "they have now. Of your application; those of test mode only with `test=true`. "
)
CSV = OpenApiResponse(
    {"type": "string"}, description="CSV, with `format=csv` or `Accept: text/csv`."
)


class StatisticsViewSet(ViewSet):
    required_scopes = {"summary": Scope.STATISTICS_READ, "timeseries": Scope.STATISTICS_READ}
    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        operation_id="summarize_statistics",
        summary="What became of the messages",
        description=COHORTS + "At most 400 days at once.",
        parameters=[SummaryQuery],
        responses={(200, "application/json"): SummaryAnswer, (200, "text/csv"): CSV},
        tags=["statistics"],
        examples=[
            OpenApiExample(
                "An hour",
                value={
                    "since": "2026-11-23T12:00:00Z",
                    "until": "2026-11-23T13:00:00Z",
                    "updated_at": "2026-11-23T13:20:11.300000Z",
                    "hours_to_count": 0,
                    "accepted": 1043,
                    "statuses": {
                        "pending": 2,
                        "sending": 0,
                        "success": 1031,
                        "failed": 9,
                        "unknown": 0,
                        "cancelled": 1,
                    },
                    "reasons": [
                        {"reason": "hard_bounce", "count": 7},
                        {"reason": "expired", "count": 2},
                    ],
                    "feedback": {
                        "deferred": 1,
                        "delivered": 610,
                        "opened": 201,
                        "clicked": 40,
                        "bounced": 12,
                        "unsubscribed": 1,
                        "complained": 0,
                    },
                    "latency": {
                        "count": 1031,
                        "average": 0.412,
                        "p50": 0.198,
                        "p95": 1.73,
                        "p99": 4.21,
                        "within_10s": 0.999,
                    },
                },
                response_only=True,
                media_type="application/json",
            )
        ],
    )
    def summary(self, request: Request) -> HttpResponseBase:
        asked = checked_query(request, SummaryQuery, now=timezone.now())
        data = asked.validated_data
        filters = asked.filters(caller_of(request).application_id)
        found = reading.summary(filters, data["since"], data["until"])
        if _wants_csv(request, data):
            return _csv(lambda: summary_table(found), "summary")
        given = {"answer": found, "freshness": reading.freshness(found.period)}
        return Response(SummaryAnswer(given).data, content_type="application/json")

    @extend_schema(
        operation_id="get_statistics_timeseries",
        summary="Messages by hour or day",
        description=COHORTS
        + "What was accepted, or with `group_by` how much of it had each value, "
        "zeros included; by `reason` only those that failed. In time zones that are not whole "
        "hours from UTC, an hour counts for the day in which it begins.",
        parameters=[TimeSeriesQuery],
        responses={(200, "application/json"): TimeSeriesAnswer, (200, "text/csv"): CSV},
        tags=["statistics"],
        examples=[
            OpenApiExample(
                "Two days by channel",
                value={
                    "since": "2026-11-21T16:00:00Z",
                    "until": "2026-11-23T16:00:00Z",
                    "updated_at": "2026-11-23T16:20:11.300000Z",
                    "hours_to_count": 0,
                    "interval": "day",
                    "time_zone": "Asia/Shanghai",
                    "group_by": "channel",
                    "buckets": ["2026-11-22T00:00:00+08:00", "2026-11-23T00:00:00+08:00"],
                    "series": [
                        {"key": "email", "name": "e-mail", "total": 2210, "counts": [940, 1270]},
                        {"key": "sms", "name": "SMS", "total": 310, "counts": [110, 200]},
                    ],
                },
                response_only=True,
                media_type="application/json",
            )
        ],
    )
    def timeseries(self, request: Request) -> HttpResponseBase:
        asked = checked_query(request, TimeSeriesQuery, now=timezone.now())
        data = asked.validated_data
        filters = asked.filters(caller_of(request).application_id)
        found = reading.timeseries(filters, data["since"], data["until"], **asked.options())
        if _wants_csv(request, data):
            return _csv(lambda: timeseries_table(found), "timeseries")
        given = {
            "answer": found,
            "freshness": reading.freshness(found.period),
            "interval": data["interval"],
            "time_zone": data["time_zone"],
            "group_by": data.get("group_by"),
        }
        return Response(TimeSeriesAnswer(given).data, content_type="application/json")


def _wants_csv(request: Request, data: dict[str, Any]) -> bool:
    asked = data.get("format") or getattr(request.accepted_renderer, "format", "json")
    return bool(asked == "csv")


def _csv(lines: Callable[[], Iterator[str]], name: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )
