"""What a template gives goes into a content, and what its provider would refuse is refused here."""

from dataclasses import replace
from typing import Any

from core.errors import Code, DomainError, FieldError
from core.vocabulary import Channel
from messaging.channels.content import Content, EmailContent, TemplatedContent, TextContent
from messaging.channels.registry import misfits_of
from messaging.channels.simulator import is_simulated
from messaging.channels.sms_text import segments
from templates_app.rendering import Rendered
from templates_app.sending import Ready

# Signatures of Aliyun have 2 to 12 characters.
_SHORT_SIGNATURE = "____"


def filled(content: Content, rendered: Rendered, ready: Ready, *, channel: str) -> Content:
    """`content` with the text that a template gave, or with the provider's template."""
    if isinstance(content, EmailContent):
        return replace(content, subject=rendered.subject, html=rendered.html, text=rendered.text)
    if isinstance(content, TextContent):
        return replace(
            content,
            subject=rendered.subject,
            text=rendered.text,
            format=content.format or ready.body_format,
        )
    provider = ready.provider
    found = replace(
        content,
        template_id=provider.id,
        signature=provider.signature,
        kind=provider.kind,
        parameters=dict(rendered.parameters),
        text=rendered.text.strip(),
        details=_led(content.details, provider.kind),
    )
    return _counted(found) if channel == Channel.SMS else found


def _led(details: dict[str, Any], kind: str) -> dict[str, Any]:
    """WeChat calls the link of a subscribe notice its page."""
    if kind != "subscribe" or "url" not in details:
        return details
    return {"page" if name == "url" else name: value for name, value in details.items()}


def _counted(content: TemplatedContent) -> TemplatedContent:
    """With what is charged for it. A signature that only the sender knows counts as a short one."""
    (_, number), *_ = content.to
    if is_simulated(number):
        return content
    signature = content.signature or _SHORT_SIGNATURE
    return replace(content, segments=segments(f"【{signature}】{content.text}", number))


def check(content: Content, *, channel: str) -> None:
    """Raises `DomainError` that names every rule of the provider's that it breaks."""
    errors = tuple(
        FieldError(misfit.pointer, misfit.code, misfit.detail)
        for misfit in misfits_of(channel, content)
    )
    if errors:
        words = "The provider would refuse this message; `errors` names its rules."
        raise DomainError(Code.INVALID_REQUEST, words, errors=errors)
