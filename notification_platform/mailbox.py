"""The local mailbox of the embedded mode, as pages: what was sent, as it arrived."""

from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from core.ids import moment_of
from core.previews import untrusted_html

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of the folder. Ids sort by arrival."""

    id: UUID
    message: EmailMessage
    source: str

    @property
    def arrived_at(self) -> datetime:
        return moment_of(self.id)

    def header(self, name: str) -> str:
        return str(self.message.get(name, ""))

    def body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part is not None else ""


def read(mail_id: UUID) -> Mail:
    """Raises `FileNotFoundError`."""
    raw = (Path(settings.MAILBOX_DIR) / f"{mail_id}.eml").read_bytes()
    message: Any = message_from_bytes(raw, policy=default)
    return Mail(mail_id, message, raw.decode("utf-8", "replace"))


def newest() -> list[Mail]:
    names = sorted((file.stem for file in Path(settings.MAILBOX_DIR).glob("*.eml")), reverse=True)
    return [read(UUID(name)) for name in names[:SHOWN]]


def find_by_message_id(message_id: str) -> UUID | None:
    """The mail that carries the platform's message `message_id`."""
    found = (mail.id for mail in newest() if mail.header("Message-ID")[1:].startswith(message_id))
    return next(found, None)


def show_list(request: HttpRequest) -> HttpResponse:
    return render(request, "mailbox/list.html", {"mails": newest(), "shown": SHOWN})


def show_mail(request: HttpRequest, mail_id: UUID) -> HttpResponse:
    mail = _read_or_404(mail_id)
    headers = ("From", "To", "Cc", "Reply-To", "X-Envelope-To", "Subject", "Date", "Message-ID")
    return render(
        request,
        "mailbox/mail.html",
        {
            "mail": mail,
            "headers": [(name, mail.header(name)) for name in headers if mail.header(name)],
            "html": bool(mail.body("html")),
            "text": mail.body("plain"),
        },
    )


def show_html(request: HttpRequest, mail_id: UUID) -> HttpResponse:
    return untrusted_html(_read_or_404(mail_id).body("html"))


def _read_or_404(mail_id: UUID) -> Mail:
    try:
        return read(mail_id)
    except FileNotFoundError as error:
        raise Http404 from error


def urlpatterns() -> list[URLPattern]:
    """No mailbox, no pages."""
    if not settings.MAILBOX_DIR:
        return []
    return [
        path("mailbox", show_list, name="mailbox"),
        path("mailbox/<uuid:mail_id>", show_mail, name="mail"),
        path("mailbox/<uuid:mail_id>/html", show_html, name="mail-html"),
    ]
