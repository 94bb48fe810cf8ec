"""E-mail through the HTTP API of a provider, by Anymail's backends.

A backend is built straight from the account's options, never from global settings, and its
`send()` is not believed: it answered 1 with a recipient status of `failed` (Anymail 15.2).
"""

import contextlib
import re
from collections.abc import Iterator
from email.headerregistry import Address
from typing import Any

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
)
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from urllib3.exceptions import LocationParseError

from core.crash import crash_at, is_armed
from messaging.channels import anymail_reports
from messaging.channels.anymail_attachments import as_mime
from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    DeliveryError,
    Option,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    ProbeStep,
    Receipt,
    Refusal,
    SenderFailure,
)
from messaging.channels.crash_replies import crash_before_replies
from messaging.channels.http_api import TIMEOUT, judge_transport, retry_after
from messaging.channels.mail_headers import words_of
from messaging.channels.mime import check_person
from messaging.channels.mime_words import BREAKING
from messaging.channels.reports import News

# Backend class and the options it cannot do without.
BACKENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "brevo": ("anymail.backends.brevo.EmailBackend", ("api_key",)),
    "mailersend": ("anymail.backends.mailersend.EmailBackend", ("api_token",)),
    "mailgun": ("anymail.backends.mailgun.EmailBackend", ("api_key", "sender_domain")),
    "mailjet": ("anymail.backends.mailjet.EmailBackend", ("api_key", "secret_key")),
    "mailtrap": ("anymail.backends.mailtrap.EmailBackend", ("api_token",)),
    "mandrill": ("anymail.backends.mandrill.EmailBackend", ("api_key",)),
    "postal": ("anymail.backends.postal.EmailBackend", ("api_key", "api_url")),
    "postmark": ("anymail.backends.postmark.EmailBackend", ("server_token",)),
    "resend": ("anymail.backends.resend.EmailBackend", ("api_key",)),
    "scaleway": ("anymail.backends.scaleway.EmailBackend", ("secret_key", "project_id")),
    "sparkpost": ("anymail.backends.sparkpost.EmailBackend", ("api_key",)),
    "unisender_go": ("anymail.backends.unisender_go.EmailBackend", ("api_key", "api_url")),
}
# Postmark tells of the account's faults with HTTP 422 and these codes in the body
# (postmarkapp.com/developer/api/overview): the identity, the credits, the approval.
POSTMARK_ACCOUNT = {
    400: "identity",
    401: "identity",
    405: "quota",
    412: "blocked",
    413: "blocked",
}
TAKEN = frozenset({"sent", "queued"})
REFUSED = frozenset({"invalid", "rejected", "failed"})
# Anymail refuses a message with metadata for these.
WITHOUT_METADATA = frozenset({"mailersend", "postal"})
# Of the webhook; sending does without.
OF_REPORTS = "webhook_secret"
# What `http.client` can write as a header's value.
SECRET = re.compile(r"[!-~]+")


class AnymailEmail(ChannelAdapter):
    """One account at a provider that Anymail knows. Keeps its HTTP session open."""

    name = "anymail"
    channel = Channel.EMAIL
    options = (
        Option("backend", "The provider.", is_required=True, choices=tuple(BACKENDS)),
        Option("sender_domain", "Mailgun: the domain that is sent from."),
        Option("project_id", "Scaleway: the project."),
        Option("api_url", "Of the provider's API, where it is not the usual one."),
        Option("api_key", "Of the account.", is_secret=True),
        Option("secret_key", "Mailjet and Scaleway.", is_secret=True),
        Option("server_token", "Postmark.", is_secret=True),
        Option("api_token", "MailerSend and Mailtrap.", is_secret=True),
        Option(
            OF_REPORTS,
            "With which the provider signs its reports; for Brevo, Mailjet, Postmark and SparkPost "
            "user:password.",
            is_secret=True,
        ),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._backend: Any = None

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        backend = options.get("backend")
        if backend in BACKENDS:
            for name in BACKENDS[backend][1]:
                if not {**options, **credentials}.get(name):
                    found.setdefault(name, _("%(provider)s needs it.") % {"provider": backend})
        for option in cls.options:
            secret = credentials.get(option.name)
            if isinstance(secret, str) and secret and not SECRET.fullmatch(secret):
                found.setdefault(option.name, _("It holds spaces or characters beyond ASCII."))
        secret = credentials.get(OF_REPORTS)
        if secret and backend in anymail_reports.PASSWORD_BACKENDS and ":" not in str(secret):
            found.setdefault(
                OF_REPORTS,
                _("%(provider)s signs nothing: write user:password.") % {"provider": backend},
            )
        url = options.get("api_url")
        if isinstance(url, str) and url and not url.startswith(("https://", "http://")):
            found.setdefault("api_url", _("It must begin with https:// or http://."))
        return found

    def send(self, outbound: Outbound) -> Receipt:
        try:
            check_person(self.account.from_name, self.account.from_address)
        except ValueError as error:
            raise SenderFailure("misconfigured", phase="serialize", words=str(error)) from error
        try:
            message = self._message(outbound)
        except ValueError as error:
            raise PermanentFailure("rejected", phase="serialize", words=str(error)) from error
        backend = self._open()
        if __debug__:
            crash_at("before_request")
        try:
            backend.send_messages([message])
        except AnymailError as error:
            raise judge(error) from error
        except (UnicodeEncodeError, LocationParseError) as error:
            # A header or an address that could not be written: nothing left.
            raise SenderFailure(
                "misconfigured", phase="configure", words=type(error).__name__
            ) from error
        except Exception as error:
            # Anymail's readers trip over answers in a form that they do not expect.
            raise OutcomeUnknown(
                "no_answer", phase="response", words=type(error).__name__
            ) from error
        if __debug__:
            crash_at("after_reply")
        return self._read_status(message, outbound)

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        return options.get("backend") in anymail_reports.VIEWS

    @classmethod
    def check_report(cls, request: HttpRequest, account: Account) -> None:
        backend = str(account.options.get("backend"))
        anymail_reports.check(request, backend=backend, credentials=account.credentials)

    @classmethod
    def read_report(cls, request: HttpRequest, account: Account) -> list[News]:
        return anymail_reports.read(request, backend=str(account.options.get("backend")))

    def probe(self) -> Iterator[ProbeStep]:
        try:
            self._open()
        except SenderFailure as error:
            yield ProbeStep("configure", False, error.words, 0.0)
            return
        words = (
            f"{self.option('backend')} is configured. Its API has no call that only logs in: send "
            "a test message to try the credentials."
        )
        yield ProbeStep("configure", True, words, 0.0)
        self.close()

    def close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            with contextlib.suppress(requests.RequestException, OSError):
                backend.close()

    def _open(self) -> Any:
        if self._backend is None:
            path, _ = BACKENDS[self.option("backend")]
            options = {
                option.name: value
                for option in self.options
                if option.name not in {"backend", OF_REPORTS}
                and (value := self.option(option.name)) is not None
            }
            try:
                backend = import_string(path)(
                    **options, timeout=TIMEOUT, debug_api_requests=False, fail_silently=False
                )
            except (AnymailConfigurationError, TypeError) as error:
                raise SenderFailure(
                    "misconfigured", phase="configure", words=str(error)[:400]
                ) from error
            backend.open()
            if __debug__ and is_armed("after_request"):
                crash_before_replies(backend.session)
            self._backend = backend
        return self._backend

    def _message(self, outbound: Outbound) -> EmailMultiAlternatives:
        """Raises `ValueError` for what must not come near a header."""
        content = outbound.content
        for person in (*content.to, *content.cc, *content.bcc, *content.reply_to):
            check_person(*person)
        if BREAKING.search(content.subject):
            raise ValueError("a line break or NUL in the subject")
        message = EmailMultiAlternatives(
            subject=content.subject,
            body=content.text or "",
            from_email=_written(self.account.from_name, self.account.from_address),
            to=[_written(*person) for person in content.to],
            cc=[_written(*person) for person in content.cc],
            bcc=[_written(*person) for person in content.bcc],
            reply_to=[_written(*person) for person in content.reply_to],
            headers={"Message-ID": outbound.message_id} | self._headers(content.headers),
        )
        if self.option("backend") not in WITHOUT_METADATA:
            message.metadata = {"attempt_id": outbound.attempt_id}  # type: ignore[attr-defined]
        if content.html:
            message.attach_alternative(content.html, "text/html")
        for attachment in outbound.attachments:
            message.attach(as_mime(attachment, is_shown=bool(content.html)))
        return message

    def _headers(self, given: dict[str, str]) -> dict[str, str]:
        """ASCII as it is; other text in encoded words, which most providers do not make of it.
        Raises `ValueError` for a header that callers may not give."""
        words = {name: " ".join(words_of(name, value)) for name, value in given.items()}
        # Brevo would decode them and send 8 bits: with the bare text, Anymail refuses the message.
        is_bare = self.option("backend") == "brevo"
        return {
            name: value if is_bare or value.isascii() else words[name]
            for name, value in given.items()
        }

    def _read_status(self, message: Any, outbound: Outbound) -> Receipt:
        status = message.anymail_status
        by_address = {
            address.lower(): str(recipient.status)
            for address, recipient in status.recipients.items()
        }
        words = ", ".join(sorted(set(by_address.values()))) or "no status"
        if not TAKEN.intersection(by_address.values()):
            if by_address and REFUSED.issuperset(by_address.values()):
                raise PermanentFailure("rejected", phase="response", words=words)
            raise OutcomeUnknown("no_status", phase="response", words=words)
        refused = tuple(
            Refusal(position, "", said)
            for position, address in outbound.content.recipients()
            if (said := by_address.get(address.lower(), "sent")) in REFUSED
        )
        return Receipt(
            provider_message_id=_first_id(status.message_id), words=words, refused=refused
        )


def judge(error: AnymailError) -> DeliveryError:
    """An answer of the provider, or a message that Anymail could not put to it."""
    status = getattr(error, "status_code", None)
    words = str(error)[:400]
    if isinstance(error, AnymailRecipientsRefused | AnymailInvalidAddress):
        return PermanentFailure("hard_bounce", phase="response", words=words)
    if isinstance(error, AnymailConfigurationError):
        return SenderFailure("misconfigured", phase="configure", words=words)
    if not isinstance(error, AnymailAPIError):
        return PermanentFailure("rejected", phase="serialize", words=words)
    if isinstance(error, requests.RequestException) and status is None:
        return judge_transport(error)
    response = getattr(error, "response", None)
    words = _body(response) or words
    code = str(status or "")
    shown: dict[str, Any] = {"phase": "response", "code": code, "words": words}
    if status == 422 and (kind := POSTMARK_ACCOUNT.get(_error_code(response) or 0)):
        return SenderFailure(kind, **shown)
    if status in {401, 403}:
        return SenderFailure("credentials", **shown)
    if status == 402 or (status == 405 and "credit" in words.lower()):
        return SenderFailure("quota", **shown)
    if status == 404:
        # The address of the API or the domain in it: nothing about this message.
        return SenderFailure("misconfigured", **shown)
    if status in {408, 425}:
        return SenderFailure("transient", **shown)
    if status in {429, 503}:
        return SenderFailure("throttled", retry_after=retry_after(response), **shown)
    if status is not None and 400 <= status < 500:
        return PermanentFailure("rejected", **shown)
    # 2xx that cannot be read, 500, 502, 504: it may have been taken.
    return OutcomeUnknown("no_answer", **shown)


def _error_code(response: requests.Response | None) -> int | None:
    try:
        return int(response.json()["ErrorCode"]) if response is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def _body(response: requests.Response | None) -> str:
    return " ".join(response.text.split())[:400] if response is not None else ""


def _first_id(message_id: Any) -> str:
    ids = {message_id} if isinstance(message_id, str) else set(message_id or ())
    return sorted(str(found) for found in ids if found)[0][:200] if any(ids) else ""


def _written(name: str, address: str) -> str:
    return str(Address(display_name=name, addr_spec=address)) if name else address
