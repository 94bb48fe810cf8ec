"""What can be asked of the statistics, and what the answers look like."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import validate_time_zone
from core.serializers import SharedFields, StrictCharField, StrictSerializer
from core.vocabulary import Channel
from messaging.fields import LineField, MomentField
from messaging.models import Feedback, Reason, Sender, Status
from reporting.reading import Filters, GroupBy
from reporting.steps import Interval
from templates_app.fields import CodeField

# Of one answer.
MAX_DAYS = {Interval.HOUR: 31, Interval.DAY: 400}
BY_DEFAULT = timedelta(hours=24)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# All messages of a caller are of one application.
GROUPS = [each.value for each in GroupBy if each is not GroupBy.APPLICATION]


@extend_schema_field({"type": "string", "format": "time-zone", "maxLength": 64})
class _TimeZoneField(StrictCharField):
    """A name of the IANA database."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, validators=[validate_time_zone], **kwargs)


class SummaryQuery(StrictSerializer):
    """Of which time, and of which messages."""

    since = MomentField(
        required=False, help_text="From the hour of this moment on; by default 24 hours back."
    )
    until = MomentField(
        required=False, help_text="Up to this moment, to the end of its hour; by default now."
    )
    channel = serializers.ChoiceField(choices=Channel.choices, required=False)
    template = CodeField(required=False, help_text="The code of a template, in any language.")
    sender = LineField(required=False, max_length=60, help_text="The name of a sender.")
    test = serializers.ChoiceField(
        choices=["true", "false"],
        required=False,
        help_text="`true`: those of test mode, and no others.",
    )
    format = serializers.ChoiceField(
        choices=["json", "csv"], required=False, help_text="Without, `Accept` decides."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        now: datetime = self.context["now"]
        for name in ("since", "until"):
            if data.get(name, now) < EARLIEST:
                _refuse(name, f"It is before {EARLIEST.year}.")
        until = data.setdefault("until", now)
        since = data.setdefault("since", until - BY_DEFAULT)
        if until > now + timedelta(days=1):
            _refuse("until", "It lies in the future.")
        if since >= until:
            _refuse("since", "It must be before `until`.")
        interval = data.get("interval", Interval.DAY)
        if until - since > timedelta(days=MAX_DAYS[interval]):
            _refuse("since", f"At most {MAX_DAYS[interval]} days by {interval.value} at once.")
        return data

    def filters(self, application_id: int) -> Filters:
        """Only of that application's messages."""
        data = self.validated_data
        sender_id: int | None = None
        if name := data.get("sender"):
            # No sender has the number 0: what nobody is called has no messages.
            row = Sender.objects.filter(name=name).order_by().values_list("pk").first()
            sender_id = row[0] if row else 0
        return Filters(
            application_id=application_id,
            channel=data.get("channel", ""),
            template=data.get("template", ""),
            sender_id=sender_id,
            is_test=data.get("test") == "true",
        )


def _refuse(name: str, words: str) -> None:
    detail = serializers.ErrorDetail(words, code="invalid_moment")
    raise serializers.ValidationError({name: [detail]})


class TimeSeriesQuery(SummaryQuery):
    interval = serializers.ChoiceField(
        choices=[each.value for each in Interval],
        required=False,
        default=Interval.HOUR.value,
        help_text="By hour at most 31 days at once, by day 400.",
    )
    time_zone = _TimeZoneField(
        required=False,
        default="UTC",
        help_text="In which days begin, for example `Asia/Shanghai`.",
    )
    group_by = serializers.ChoiceField(choices=GROUPS, required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        data["interval"] = Interval(data["interval"])
        return super().validate(data)

    def options(self) -> dict[str, Any]:
        data = self.validated_data
        by = data.get("group_by")
        return {
            "interval": data["interval"],
            "time_zone": ZoneInfo(data["time_zone"]),
            "group_by": GroupBy(by) if by else None,
        }


@extend_schema_field({"type": "string", "format": "date-time"})
class _ZonedField(serializers.DateTimeField):
    """With the offset that it has."""

    def to_representation(self, value: Any) -> str:
        text: str = value.isoformat()
        return f"{text[:-6]}Z" if value.tzinfo is UTC else text


def _counts(choices: Any) -> Any:
    fields = {value: serializers.IntegerField() for value in choices.values}
    return type(f"{choices.__name__}Counts", (serializers.Serializer,), fields)()


class ReasonCount(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=Reason.choices)
    count = serializers.IntegerField()


class LatencySerializer(serializers.Serializer[Any]):
    """In seconds, from when a message was to go until its provider took it; null where there was
    none. Percentiles are estimated within bounds of 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
    3600 and 86400 seconds; the average and the share are exact."""

    count = serializers.IntegerField(help_text="Of so many messages.")
    average = serializers.FloatField(allow_null=True)
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)
    within_10s = serializers.FloatField(
        source="prompt_share", allow_null=True, help_text="The share, from 0 to 1."
    )


class _Answer(SharedFields):
    since = _ZonedField(source="answer.period.since")
    until = _ZonedField(source="answer.period.until", help_text="Not included.")
    updated_at = serializers.DateTimeField(
        source="freshness.updated_at",
        allow_null=True,
        help_text="Until when everything is counted; null: nothing is yet.",
    )
    hours_to_count = serializers.IntegerField(
        source="freshness.hours_to_count",
        help_text="Of this time, hours that were never counted yet; 0 but for the first days.",
    )


class SummaryAnswer(_Answer):
    accepted = serializers.IntegerField(source="answer.accepted")
    statuses = _counts(Status)
    reasons = serializers.SerializerMethodField(
        help_text="Why those that failed did, the most frequent first."
    )
    feedback = _counts(Feedback)
    latency = LatencySerializer(source="answer.latency")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for name in ("statuses", "feedback"):
            fields[name].source = f"answer.{name}"
        return fields

    @extend_schema_field(ReasonCount(many=True))
    def get_reasons(self, given: Any) -> list[dict[str, Any]]:
        return [{"reason": key, "count": n} for key, n in given["answer"].reasons.items()]


class SeriesSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(
        source="named.key",
        help_text="A status, feedback, channel, reason, a template's code or a sender's name; "
        "empty for messages without, and where nothing is grouped.",
    )
    name = serializers.CharField(source="named.name", help_text="For people.")
    total = serializers.IntegerField()
    counts = serializers.ListField(
        child=serializers.IntegerField(), help_text="One for each of `buckets`."
    )


class TimeSeriesAnswer(_Answer):
    interval = serializers.ChoiceField(choices=[each.value for each in Interval])
    time_zone = serializers.CharField()
    group_by = serializers.ChoiceField(choices=GROUPS, allow_null=True)
    buckets = serializers.ListField(
        child=_ZonedField(), source="answer.buckets", help_text="When each begins."
    )
    series = SeriesSerializer(source="answer.series", many=True)
