"""What the send calls of the other channels take, and all of them by channel."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import StrictBooleanField, StrictCharField, StrictSerializer
from core.vocabulary import Channel
from messaging.channels.content import TemplatedContent, TextContent
from messaging.channels.wecom_content import OF_APPLICATIONS
from messaging.fields import LineField
from messaging.recipient_fields import (
    MembersField,
    NumberField,
    OpenIdField,
    SenderNameField,
    parse_number_for,
)
from messaging.serializers import conditions
from messaging.serializers.sending import REQUIRED, EmailRequest, SendRequest
from templates_app.fields import CodeField

# Of WeChat Work's texts; its limits in bytes are looked at with the message's format.
MAX_TEXT = 4096
# Chats differ; what is longer than theirs they cut, or the sender says so.
MAX_CHAT = 32_768
MAX_URL = 2048
MAX_CARD = 20_000


class UrlField(StrictCharField):
    """Of a link that recipients open."""

    schema_pattern = r"^https?://[!-~]+$"
    default_error_messages = {"invalid_url": "It must begin with http:// or https://."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        is_printed = text.isascii() and text.isprintable() and " " not in text
        if not is_printed or not text.startswith(("http://", "https://")) or text.endswith("//"):
            self.fail("invalid_url")
        return text


class SmsRequest(SendRequest):
    channel = Channel.SMS
    schema_conditions = conditions.BY_TEMPLATE_ONLY

    to = NumberField(
        max_length=40,
        help_text="A number as people write it, or in E.164. Without a country it is one of the "
        "application's.",
    )
    template_code = CodeField(help_text="SMS are sent by templates that the provider approved.")

    def validate_to(self, text: str) -> str:
        return parse_number_for(self.context["caller"], text)

    def wanted_content(self) -> TemplatedContent:
        return TemplatedContent(to=[("", self.validated_data["to"])])


class MiniProgramRequest(StrictSerializer):
    appid = LineField(max_length=40)
    pagepath = LineField(required=False, max_length=1024)


class OfficialRequest(SendRequest):
    channel = Channel.WECHAT_OFFICIAL
    schema_conditions = conditions.BY_TEMPLATE_ONLY

    to = OpenIdField(max_length=100, help_text="The OpenID of a follower.")
    template_code = CodeField(help_text="It names WeChat's template and fills it in.")
    url = UrlField(required=False, max_length=MAX_URL, help_text="Opened when it is touched.")
    miniprogram = MiniProgramRequest(
        required=False, help_text="Opened instead of `url`, where it can be."
    )

    def wanted_content(self) -> TemplatedContent:
        data = self.validated_data
        details = {name: data[name] for name in ("url", "miniprogram") if name in data}
        return TemplatedContent(to=[("", data["to"])], details=details)


class ArticleRequest(StrictSerializer):
    title = LineField(max_length=128)
    description = StrictCharField(required=False, max_length=512)
    url = UrlField(max_length=MAX_URL)
    picurl = UrlField(required=False, max_length=MAX_URL)


# Of robots, the adapter knows, not all.
CARD_TYPES = OF_APPLICATIONS.cards


@extend_schema_field(
    {
        "type": "object",
        "required": ["card_type"],
        "properties": {"card_type": {"type": "string", "enum": list(CARD_TYPES)}},
        "additionalProperties": True,
    }
)
class CardField(serializers.Field[Any, Any, Any, Any]):
    """A template card in WeChat Work's own form; it is passed on as it is."""

    default_error_messages = {
        "invalid": "Give the object of a template card, with its card_type: "
        f"{', '.join(CARD_TYPES)}.",
        "max_length": f"A card may have {MAX_CARD:,} characters as JSON.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        kind = data.get("card_type") if isinstance(data, dict) else None
        if kind not in CARD_TYPES:
            self.fail("invalid")
        if len(str(data)) > MAX_CARD:
            self.fail("max_length")
        found: dict[str, Any] = data
        return found

    def to_representation(self, value: Any) -> Any:
        return value


# What each format needs and may have, besides `to`.
WECHAT_FORMATS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "text": (("content",), ("mentions", "mentioned_mobiles")),
    "markdown": (("content",), ()),
    "textcard": (("title", "content", "url"), ("button",)),
    "news": (("articles",), ()),
    "template_card": (("card",), ()),
}
# By a template: its subject is the title, its body the content.
WECHAT_BY_TEMPLATE = {"text": ("mentions", "mentioned_mobiles"), "markdown": (), "textcard": ()}
_OF_FORMATS = (
    *("content", "title", "url", "button", "articles", "card"),
    *("mentions", "mentioned_mobiles"),
)


class WechatRequest(SendRequest):
    channel = Channel.WECHAT
    own_text = ("title", "content", "articles", "card")
    # Which fields each message_type has is said in words: eight choices of schemas help nobody.
    schema_conditions = conditions.SEND_TIME

    to = MembersField(
        help_text="Members by their ids, `party:2`, `tag:7`, `@all`; or one `robot:name`, the name "
        "of a sender that is a group's robot."
    )
    message_type = serializers.ChoiceField(
        choices=list(WECHAT_FORMATS),
        required=False,
        help_text="By default `text`; by a template as its body is written. `text` and `markdown` "
        "have `content`, `textcard` has `title`, `content`, `url` and `button`, `news` "
        "`articles`, `template_card` `card`.",
    )
    title = LineField(required=False, max_length=128, help_text="Of a textcard.")
    content = StrictCharField(
        required=False,
        max_length=MAX_TEXT,
        trim_whitespace=False,
        help_text="The text, or what a textcard says.",
    )
    url = UrlField(required=False, max_length=MAX_URL, help_text="Of a textcard.")
    button = LineField(required=False, max_length=4, help_text="What a textcard's button says.")
    articles = serializers.ListField(
        child=ArticleRequest(), required=False, min_length=1, max_length=8, help_text="Of news."
    )
    card = CardField(required=False)
    mentions = serializers.ListField(
        child=LineField(max_length=64),
        required=False,
        max_length=50,
        help_text="Robots: members by their ids, or `@all`.",
    )
    mentioned_mobiles = serializers.ListField(
        child=LineField(max_length=20), required=False, max_length=50, help_text="Robots."
    )
    safe = StrictBooleanField(
        required=False, help_text="Members cannot pass it on; their names stand on it."
    )

    def misfits(self, data: dict[str, Any]) -> dict[str, list[serializers.ErrorDetail]]:
        found = super().misfits(data)
        kind = data.get("message_type", "text")
        known = WECHAT_BY_TEMPLATE if "template_code" in data else WECHAT_FORMATS
        if not isinstance(kind, str) or kind not in WECHAT_FORMATS:
            return found
        if kind not in known:
            words = f"A {kind} is not made by a template."
            found["message_type"] = [serializers.ErrorDetail(words, code="conflict")]
            return found
        needed, allowed = WECHAT_FORMATS[kind]
        if "template_code" in data and kind == "textcard" and "url" not in data:
            words = "A textcard needs it."
            found["url"] = [serializers.ErrorDetail(words, code="required")]
        for name in _OF_FORMATS:
            if name in data and name not in (*needed, *allowed) and name not in found:
                words = f"It does not go with a message_type of {kind}."
                found[name] = [serializers.ErrorDetail(words, code="conflict")]
        return found

    def misfits_of_own_text(self, data: dict[str, Any]) -> dict[str, tuple[str, str]]:
        kind = data.get("message_type", "text")
        needed = WECHAT_FORMATS[kind][0] if kind in list(WECHAT_FORMATS) else ()
        return {name: (REQUIRED, "required") for name in needed if name not in data}

    def wanted_content(self) -> TextContent:
        data = self.validated_data
        named = ("url", "button", "articles", "card", "mentions", "mentioned_mobiles")
        details = {name: data[name] for name in named if data.get(name)}
        if data.get("safe"):
            details["safe"] = True
        return TextContent(
            to=data["to"],
            subject=data.get("title", ""),
            text=data.get("content", ""),
            # By a template it is the template's to say.
            format=data.get("message_type", "" if "template_code" in data else "text"),
            details=details,
        )


class ChatRequest(SendRequest):
    channel = Channel.CHAT
    own_text = ("title", "content", "content_type")
    schema_conditions = conditions.CHAT

    to = SenderNameField(
        max_length=100, help_text="The name of the sender: each posts to one place."
    )
    title = LineField(required=False, max_length=255)
    content = StrictCharField(
        required=False,
        max_length=MAX_CHAT,
        trim_whitespace=False,
        help_text="Unless by a template.",
    )
    content_type = serializers.ChoiceField(
        choices=["text", "markdown", "html"],
        required=False,
        help_text="How `content` is written; by default `text`. It is turned into what the chat "
        "can show.",
    )
    severity = serializers.ChoiceField(
        choices=["info", "success", "warning", "failure"],
        required=False,
        help_text="Many chats show it as a colour or sign. By default `info`.",
    )

    def misfits_of_own_text(self, data: dict[str, Any]) -> dict[str, tuple[str, str]]:
        return {} if "content" in data else {"content": (REQUIRED, "required")}

    def wanted_content(self) -> TextContent:
        data = self.validated_data
        is_ours = "template_code" not in data
        return TextContent(
            to=[("", data["to"])],
            subject=data.get("title", ""),
            text=data.get("content", ""),
            format=data.get("content_type", "text" if is_ours else ""),
            details={"type": data["severity"]} if "severity" in data else {},
        )


REQUESTS: dict[str, type[SendRequest]] = {
    request.channel: request
    for request in (EmailRequest, SmsRequest, WechatRequest, OfficialRequest, ChatRequest)
}
