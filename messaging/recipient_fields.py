"""Recipients of other channels than e-mail, as requests name them. The simulator's addresses are
taken everywhere: `delivered@simulator.invalid`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.authentication import Caller
from core.addresses import InvalidAddress, parse_address
from core.numbers import InvalidNumber, parse_number
from core.recipients import FORMS, ROBOT, parse_recipient
from core.serializers import StrictCharField
from core.vocabulary import Channel
from messaging.channels.content import Person
from messaging.channels.simulator import is_simulated

MAX_MEMBERS = 1000
_SIMULATED = (
    r"(delivered|bounce|complaint|slow|unknown|tempfail-[1-9])(\+[A-Za-z0-9-]+)?@simulator\.invalid"
)
_MEMBER = {"type": "string", "pattern": f"^({FORMS[Channel.WECHAT]}|{_SIMULATED})$"}


class RecipientField(StrictCharField):
    """One recipient, read as its address."""

    channel: Channel

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            if is_simulated(text):
                return parse_address(text).address
            return self.parse(text)
        except InvalidAddress as error:
            raise serializers.ValidationError(str(error), code=error.code) from error

    def parse(self, text: str) -> str:
        return parse_recipient(self.channel, text, region="")


@extend_schema_field(
    {
        "type": "string",
        "format": "telephone",
        "minLength": 3,
        "maxLength": 40,
        "examples": ["+8613800138000", "13800138000"],
    }
)
class NumberField(RecipientField):
    """As it was written: which countries' numbers it may be, only the request knows."""

    channel = Channel.SMS

    def parse(self, text: str) -> str:
        return text


def parse_number_for(caller: Caller, text: str) -> str:
    """In E.164, of the countries that the caller's application sends to. Raises DRF's
    `ValidationError`."""
    if is_simulated(text):
        return text
    try:
        return parse_number(text, region=caller.default_region, countries=caller.allowed_countries)
    except InvalidNumber as error:
        raise serializers.ValidationError(str(error), code=error.code) from error


@extend_schema_field(
    {
        "type": "string",
        "pattern": f"^({FORMS[Channel.WECHAT_OFFICIAL]}|{_SIMULATED})$",
        "examples": ["oABCD0123456789_example-id00"],
    }
)
class OpenIdField(RecipientField):
    channel = Channel.WECHAT_OFFICIAL


@extend_schema_field(
    {
        "type": "string",
        "pattern": f"^({FORMS[Channel.CHAT]}|{_SIMULATED})$",
        "examples": ["ops-alerts"],
    }
)
class SenderNameField(RecipientField):
    """The sender whose place it is posted to."""

    channel = Channel.CHAT


@extend_schema_field(
    {
        "oneOf": [
            _MEMBER | {"examples": ["zhangsan", "party:2", "tag:7", "@all", "robot:ops-alerts"]},
            {"type": "array", "items": _MEMBER, "minItems": 1, "maxItems": MAX_MEMBERS},
        ]
    }
)
class MembersField(serializers.Field[Any, Any, Any, Any]):
    """Members, parties and tags of WeChat Work, or one robot; read as `(name, address)` pairs."""

    default_error_messages = {
        "invalid": "Give a recipient, or a list of recipients.",
        "empty": "Give at least one recipient.",
        "too_many": f"At most {MAX_MEMBERS} recipients.",
        "conflict": "A robot, or @all, is written to alone.",
    }

    def to_internal_value(self, data: Any) -> list[Person]:
        items = [data] if isinstance(data, str) else data
        if not isinstance(items, list):
            self.fail("invalid")
        if not items:
            self.fail("empty")
        if len(items) > MAX_MEMBERS:
            self.fail("too_many")
        found: list[Person] = []
        errors: dict[str, Any] = {}
        for index, item in enumerate(items):
            try:
                found.append(("", _FIELD.run_validation(item)))
            except serializers.ValidationError as error:
                errors[str(index)] = error.detail
        if errors:
            raise serializers.ValidationError(errors if data is items else errors["0"])
        is_alone = any(address == "@all" or address.startswith(ROBOT) for _, address in found)
        if is_alone and len(found) > 1:
            self.fail("conflict")
        return found


class _MemberField(RecipientField):
    channel = Channel.WECHAT


_FIELD = _MemberField(max_length=100)
