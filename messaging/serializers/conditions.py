"""Which fields of a send go together, as JSON schemas for the OpenAPI document. What refuses them
is `misfits` in `sending`."""

from typing import Any

from core.schema_rules import NEVER


def _without(*names: str) -> dict[str, Any]:
    return {"properties": dict.fromkeys(names, NEVER)}


_OF_TEMPLATES = ("template_code", "template_version", "locale", "variables", "template_variables")
_TEXT_OF_ITS_OWN = _without(*_OF_TEMPLATES, "strict")["properties"]
_BY_TEMPLATE = _without("subject", "content", "content_type", "text")["properties"]

# One way to say when, or none.
SEND_TIME: dict[str, Any] = {"anyOf": [_without("send_at"), _without("delay_seconds")]}
RESCHEDULE: dict[str, Any] = {
    "oneOf": [
        {"required": ["send_at"], **_without("delay_seconds")},
        {"required": ["delay_seconds"], **_without("send_at")},
    ]
}
# A text of its own, HTML or plain, or a template's.
EMAIL: dict[str, Any] = SEND_TIME | {
    "oneOf": [
        {
            "required": ["subject", "content"],
            "properties": _TEXT_OF_ITS_OWN | {"content_type": {"const": "html"}},
        },
        {
            "required": ["subject", "content", "content_type"],
            "properties": _TEXT_OF_ITS_OWN | {"content_type": {"const": "text"}, "text": NEVER},
        },
        {
            "required": ["template_code"],
            "properties": _BY_TEMPLATE | {"template_variables": NEVER},
        },
        {
            "required": ["template_code", "template_variables"],
            "properties": _BY_TEMPLATE | {"variables": NEVER},
        },
    ]
}
# Variables under their name or under the older one: what is required then, and what is not there.
_SPELLINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((), "template_variables"),
    (("template_variables",), "variables"),
)
# By a template always.
BY_TEMPLATE_ONLY: dict[str, Any] = SEND_TIME | {
    "oneOf": [
        _without("template_variables"),
        {"required": ["template_variables"], **_without("variables")},
    ]
}
CHAT: dict[str, Any] = SEND_TIME | {
    "oneOf": [
        {"required": ["content"], "properties": _TEXT_OF_ITS_OWN},
        *(
            {
                "required": ["template_code", *required],
                "properties": dict.fromkeys(("title", "content", "content_type", absent), NEVER),
            }
            for required, absent in _SPELLINGS
        ),
    ]
}
