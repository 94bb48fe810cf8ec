"""What a template gives goes into a content, and what its provider would refuse is refused here."""

from dataclasses import replace

from core.errors import Code, DomainError, FieldError
from core.vocabulary import Channel
from messaging.channels.content import Content, EmailContent, TemplatedContent, TextContent
from messaging.channels.registry import misfits_of
from templates_app.rendering import Rendered
from templates_app.sending import Ready


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
    )
    return _counted(found) if channel == Channel.SMS else found


def _counted(content: TemplatedContent) -> TemplatedContent:
    return content


def check(content: Content, *, channel: str) -> None:
    """Raises `DomainError` that names every rule of the provider's that it breaks."""
    errors = tuple(
        FieldError(misfit.pointer, misfit.code, misfit.detail)
        for misfit in misfits_of(channel, content)
    )
    if errors:
        words = "The provider would refuse this message; `errors` names its rules."
        raise DomainError(Code.INVALID_REQUEST, words, errors=errors)
