from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from core.serializers import (
    StrictBooleanField,
    StrictCharField,
    StrictSerializer,
)
from core.vocabulary import Channel
from messaging.attachments import Asked
from messaging.channels.content import Content, EmailContent
from messaging.fields import (
    MAX_RECIPIENTS,
    AddressesField,
    KeyField,
    LineField,
    MetadataField,
    MomentField,
    TagsField,
)
from messaging.intake import Handling
from messaging.models import Lane, Policy
from messaging.serializers import conditions
from messaging.serializers.attachments import AttachmentIdsField
from messaging.serializers.headers import HeadersField
from templates_app.fields import CodeField, LocaleField, VariablesField
from templates_app.sending import Wanted

MAX_CONTENT = 512_000
YEAR = 366 * 86_400
# Seconds.
JUST_OVER = 300


class SendTimeRequest(StrictSerializer):
    """When it is to be sent, in either way."""

    schema_conditions = conditions.SEND_TIME

    send_at = MomentField(
        required=False, help_text="Not before this moment, with an offset; up to a year ahead."
    )
    delay_seconds = serializers.IntegerField(
        required=False, min_value=0, max_value=YEAR, help_text="Instead of `send_at`."
    )

    def validate_send_at(self, value: datetime) -> datetime:
        seconds = (value - timezone.now()).total_seconds()
        # Clocks differ, and requests are repeated: what is just over is sent at once.
        if not -JUST_OVER <= seconds <= YEAR:
            raise serializers.ValidationError(
                "It must be in the future, and within a year.", code="invalid_moment"
            )
        return value

    def to_internal_value(self, data: Any) -> Any:
        """What does not go together is named with everything else that is wrong."""
        misfits = self.misfits(data) if isinstance(data, dict) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**misfits, **error.detail}) from None  # type: ignore[dict-item]
        if misfits:
            raise serializers.ValidationError(misfits)
        return value

    def misfits(self, data: dict[str, Any]) -> dict[str, list[serializers.ErrorDetail]]:
        """Fields that do not go with others."""
        if "send_at" in data and "delay_seconds" in data:
            words = "Give either send_at or delay_seconds."
            return {"delay_seconds": [serializers.ErrorDetail(words, code="conflict")]}
        return {}

    def due_at(self, now: datetime) -> datetime | None:
        """None is at once."""
        data = self.validated_data
        if "delay_seconds" in data:
            return now + timedelta(seconds=data["delay_seconds"])
        send_at: datetime | None = data.get("send_at")
        return send_at


class HandlingRequest(SendTimeRequest):
    """What every channel's send call takes."""

    priority = serializers.ChoiceField(
        choices=Lane.choices,
        required=False,
        help_text="`high` is for codes and alarms. By default the template's, or `normal`.",
    )
    policy = serializers.ChoiceField(
        choices=Policy.choices,
        required=False,
        help_text="What happens when a provider gave no answer: `at_least_once` sends once more. "
        "By default the template's, or `at_least_once`.",
    )
    expires_at = MomentField(
        required=False,
        help_text="It is not sent after this. By default the template's lifetime, or 72 hours, "
        "from when it is to be sent.",
    )
    idempotency_key = KeyField(
        required=False, max_length=255, help_text="As the header `Idempotency-Key`."
    )
    dedupe_key = LineField(
        required=False,
        max_length=255,
        help_text="What makes it the same as another to the same recipients, instead of its "
        "content.",
    )
    dry_run = StrictBooleanField(
        required=False, help_text="Check all of it and say what would be sent; store nothing."
    )
    reference = LineField(
        required=False, max_length=200, default="", help_text="Your own name for it."
    )
    metadata = MetadataField(required=False, default=dict, help_text="Comes back as it is.")
    tags = TagsField(required=False, default=list)

    def validate_expires_at(self, value: datetime) -> datetime:
        seconds = (value - timezone.now()).total_seconds()
        if not 0 < seconds <= 2 * YEAR:
            raise serializers.ValidationError(
                "It must be in the future, and within two years.", code="invalid_moment"
            )
        return value

    def handling(self) -> Handling:
        data = self.validated_data
        return Handling(
            lane=data.get("priority", ""),
            policy=data.get("policy", ""),
            send_at=data.get("send_at"),
            delay=timedelta(seconds=data["delay_seconds"]) if "delay_seconds" in data else None,
            expires_at=data.get("expires_at"),
            dedupe_key=data.get("dedupe_key", ""),
            reference=data["reference"],
            metadata=data["metadata"],
            tags=data["tags"],
        )


class SendRequest(HandlingRequest):
    """A message of one channel. Read with the caller as `context["caller"]`."""

    channel: ClassVar[Channel]
    # Fields of a text of its own, which do not go with a template.
    own_text: ClassVar[tuple[str, ...]] = ()

    template_code = CodeField(
        required=False, help_text="Sends by a template, instead of a text of its own."
    )
    template_version = serializers.IntegerField(
        required=False, min_value=1, help_text="A published one; by default the current one."
    )
    locale = LocaleField(
        required=False,
        help_text="For example `zh-hans-cn`: the nearest language that there is, and its dates "
        "and numbers.",
    )
    variables = VariablesField(required=False)
    template_variables = VariablesField(
        required=False, help_text="An older spelling of `variables`."
    )
    strict = StrictBooleanField(
        required=False, help_text="Refuse variables that the template does not know."
    )

    def wanted_content(self) -> Content:
        """What was asked for; by a template without its text."""
        raise NotImplementedError

    def attached(self) -> Sequence[Asked]:
        return ()

    def wanted_template(self) -> Wanted | None:
        data = self.validated_data
        if "template_code" not in data:
            return None
        return Wanted(
            code=data["template_code"],
            variables=data.get("variables", data.get("template_variables", {})),
            version=data.get("template_version"),
            locale=data.get("locale", ""),
            is_strict=data.get("strict", False),
        )

    def misfits(self, data: dict[str, Any]) -> dict[str, list[serializers.ErrorDetail]]:
        """A message has a text of its own or a template's, and the fields that go with it."""
        found: dict[str, tuple[str, str]] = {}
        if "template_code" in data:
            for name in self.own_text:
                if name in data:
                    found[name] = ("It does not go with template_code, which says it.", "conflict")
            if "variables" in data and "template_variables" in data:
                found["template_variables"] = ("It is an older spelling of variables.", "conflict")
        else:
            for name in OF_TEMPLATES:
                if name in data:
                    found[name] = ("It goes with template_code only.", "conflict")
            found |= self.misfits_of_own_text(data)
        return super().misfits(data) | {
            name: [serializers.ErrorDetail(words, code=code)]
            for name, (words, code) in found.items()
        }

    def misfits_of_own_text(self, data: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """Words and code by field, of a message without a template."""
        return {"template_code": ("This field is required.", "required")}


OF_TEMPLATES = ("template_version", "locale", "variables", "template_variables", "strict")
REQUIRED = "This field is required, unless a template_code is given."


class EmailRequest(SendRequest):
    channel = Channel.EMAIL
    own_text = ("subject", "content", "content_type", "text")
    schema_conditions = conditions.EMAIL

    to = AddressesField()
    cc = AddressesField(required=False)
    bcc = AddressesField(required=False)
    reply_to = AddressesField(required=False)
    subject = LineField(
        required=False, max_length=255, trim_whitespace=False, help_text="Unless by a template."
    )
    content = StrictCharField(
        required=False,
        max_length=MAX_CONTENT,
        trim_whitespace=False,
        help_text="Unless by a template.",
    )
    content_type = serializers.ChoiceField(
        choices=["html", "text"], required=False, help_text="Of `content`; by default `html`."
    )
    text = StrictCharField(
        required=False,
        max_length=MAX_CONTENT,
        trim_whitespace=False,
        help_text="The plain text beside an HTML `content`.",
    )
    attachment_ids = AttachmentIdsField(
        required=False,
        help_text="Ids of uploaded files; with a `content_id`, HTML may show one as `cid:…`.",
    )

    headers = HeadersField(
        required=False,
        help_text="Further headers of the mail, for example `List-Unsubscribe`: those that "
        "docs/api.md names, and your own as `X-…`.",
    )

    def misfits_of_own_text(self, data: dict[str, Any]) -> dict[str, tuple[str, str]]:
        found = {
            name: (REQUIRED, "required") for name in ("subject", "content") if name not in data
        }
        if data.get("content_type") == "text" and "text" in data:
            words = "It goes with content_type html only; here content is the text."
            found["text"] = (words, "conflict")
        return found

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        total = sum(len(data.get(role, ())) for role in ("to", "cc", "bcc"))
        if total > MAX_RECIPIENTS:
            words = f"to, cc and bcc hold {total} addresses together; at most {MAX_RECIPIENTS}."
            raise serializers.ValidationError(
                {"to": [serializers.ErrorDetail(words, code="too_many")]}
            )
        return data

    def wanted_content(self) -> EmailContent:
        """Without its text where a template gives it."""
        data = self.validated_data
        is_html = data.get("content_type", "html") == "html"
        content = data.get("content", "")
        return EmailContent(
            to=data["to"],
            cc=data.get("cc", []),
            bcc=data.get("bcc", []),
            reply_to=data.get("reply_to", []),
            subject=data.get("subject", ""),
            html=content if is_html else "",
            text=data.get("text", "") if is_html else content,
            headers=data.get("headers", {}),
        )

    def attached(self) -> Sequence[Asked]:
        asked: Sequence[Asked] = self.validated_data.get("attachment_ids", ())
        return asked
