"""What is said of attachments: when one is uploaded, in a send call, and in a message."""

import re
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import StrictSerializer
from messaging.attachments import Asked
from messaging.channels.content import content_from_json
from messaging.models import Attachment, Message

MAX_ATTACHMENTS = 20
CONTENT_ID = re.compile(r"[A-Za-z0-9._@+-]{1,100}")


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MAX_ATTACHMENTS,
        "items": {
            "oneOf": [
                {"type": "string", "format": "uuid"},
                {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "format": "uuid"},
                        "content_id": {"type": "string", "pattern": f"^{CONTENT_ID.pattern}$"},
                        "inline": {"const": True},
                    },
                    "required": ["id", "content_id"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "format": "uuid"},
                        "inline": {"const": False},
                    },
                    "required": ["id"],
                    "additionalProperties": False,
                },
            ]
        },
    }
)
class AttachmentIdsField(serializers.Field[Any, Any, Any, Any]):
    """Ids of uploaded files, or objects `{id, content_id, inline}`; read as `Asked`."""

    default_error_messages = {
        "invalid": "Give a list of ids of attachments.",
        "too_many": f"At most {MAX_ATTACHMENTS} attachments.",
    }

    def to_internal_value(self, data: Any) -> list[Asked]:
        if not isinstance(data, list):
            self.fail("invalid")
        if len(data) > MAX_ATTACHMENTS:
            self.fail("too_many")
        found: list[Asked] = []
        errors: dict[str, Any] = {}
        ids: set[UUID] = set()
        content_ids: set[str] = set()
        for index, item in enumerate(data):
            try:
                one = _asked(item)
                if one.id in ids:
                    raise _wrong(None, "It stands in the list twice.", "duplicate")
                if one.content_id in content_ids:
                    raise _wrong("content_id", "Another attachment has it.", "duplicate")
            except serializers.ValidationError as error:
                errors[str(index)] = error.detail
                continue
            ids.add(one.id)
            if one.content_id:
                content_ids.add(one.content_id)
            found.append(one)
        if errors:
            raise serializers.ValidationError(errors)
        return found


def _asked(item: Any) -> Asked:
    if isinstance(item, str):
        return Asked(_uuid(item, None))
    if not isinstance(item, dict):
        raise _wrong(None, "It must be the id of an attachment, or an object with it.", "invalid")
    errors = {
        name: [serializers.ErrorDetail("There is no such field.", code="unknown_field")]
        for name in item
        if name not in {"id", "content_id", "inline"}
    }
    if errors:
        raise serializers.ValidationError(errors)
    if "id" not in item:
        raise _wrong("id", "This field is required.", "required")
    content_id, is_inline = item.get("content_id", ""), item.get("inline", "content_id" in item)
    if not isinstance(content_id, str) or (
        "content_id" in item and not CONTENT_ID.fullmatch(content_id)
    ):
        words = "It must be 1 to 100 letters, digits and the characters . _ @ + -"
        raise _wrong("content_id", words, "invalid_content_id")
    if not isinstance(is_inline, bool):
        raise _wrong("inline", "It must be true or false.", "invalid")
    if is_inline and not content_id:
        words = "What is shown inside the HTML needs a content_id, which the HTML names as cid:…"
        raise _wrong("content_id", words, "required")
    if content_id and not is_inline:
        words = "It has a content_id, by which it is shown inside the HTML. Leave one of them out."
        raise _wrong("inline", words, "conflict")
    return Asked(_uuid(item["id"], "id"), content_id)


def _uuid(value: Any, name: str | None) -> UUID:
    try:
        if isinstance(value, str) and len(value) <= 36:
            return UUID(value)
    except ValueError:
        pass
    raise _wrong(name, "It must be the id of an attachment, a UUID.", "invalid")


def _wrong(name: str | None, words: str, code: str) -> serializers.ValidationError:
    details = [serializers.ErrorDetail(words, code=code)]
    return serializers.ValidationError({name: details} if name else details)


class AttachmentSerializer(serializers.ModelSerializer[Attachment]):
    class Meta:
        model = Attachment
        fields = ["id", "filename", "size", "content_type", "sha256", "created_at", "expires_at"]
        extra_kwargs = {
            "content_type": {"help_text": "By what the file holds."},
            "sha256": {"help_text": "Of its bytes, in hex."},
            "expires_at": {"help_text": "Until then it may be sent, with any number of messages."},
        }


class AttachedSerializer(serializers.Serializer[Any]):
    """A file that goes with a message."""

    id = serializers.UUIDField()
    filename = serializers.CharField()
    size = serializers.IntegerField()
    content_type = serializers.CharField()
    inline = serializers.BooleanField(help_text="Shown inside the HTML, by its `content_id`.")
    content_id = serializers.CharField()


def attached(message: Message) -> list[dict[str, Any]]:
    """As `AttachedSerializer` says; of the message's content alone."""
    if "attachments" not in message.content:
        return []
    return [
        {
            "id": file.id,
            "filename": file.filename,
            "size": file.size,
            "content_type": file.content_type,
            "inline": bool(file.content_id),
            "content_id": file.content_id,
        }
        for file in content_from_json(message.channel, message.content).attachments
    ]


@extend_schema_field({"type": "string", "format": "binary"})
class UploadedFileField(serializers.FileField):
    pass


# For the description only: `core.uploads.UploadParser` reads it.
class UploadRequest(StrictSerializer):
    file = UploadedFileField(help_text="One file, with its name.")
