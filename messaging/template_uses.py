"""What templates ask of messages: who uses one, and a test mail."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef

from accounts.models import Application, User
from core.addresses import InvalidAddress, parse_address
from core.errors import Code, DomainError, FieldError
from core.ids import lowest_uuid7
from core.recipients import parse_recipient
from core.vocabulary import Channel, Lane, Policy
from messaging import contents, intake, places
from messaging.channels.content import KINDS, Content, EmailContent, TextContent
from messaging.channels.simulator import is_simulated
from messaging.models import Message, Sender
from templates_app import sending
from templates_app.models import Template, TemplateVersion
from templates_app.rendering import RenderError
from templates_app.uses import Caller

# The owner of test mails: no caller sees them among its own.
TESTS = "Template tests"
# Of each version and caller, so many of the newest messages are looked at: the same cost on ten
# million.
NEWEST = 1_000
VERSIONS = 20
LIFETIME = timedelta(hours=1)


class MessageUses:
    """Implements `templates_app.uses.Uses`."""

    def recent_callers(
        self, template: Template, *, lacking: Collection[str], since: datetime
    ) -> Sequence[Caller]:
        """By the names that are kept with each message. Tests of the admin are no callers."""
        wanted = frozenset(lacking)
        messages: Counter[str] = Counter()
        missing: dict[str, set[str]] = {}
        last: dict[str, datetime] = {}
        versions = template.versions.order_by("-number").values_list("pk", flat=True)[:VERSIONS]
        lowest = lowest_uuid7(since)
        for version in versions:
            sent = Message.objects.filter(template_version=version, pk__gte=lowest)
            callers = Application.objects.filter(Exists(sent.filter(application=OuterRef("pk"))))
            for pk, application in callers.exclude(name=TESTS).values_list("pk", "name"):
                newest = sent.filter(application=pk).order_by("-pk")[:NEWEST]
                for names, created_at in newest.values_list("variable_names", "created_at"):
                    lacked = wanted.difference(names or ())
                    if lacked and created_at >= since:
                        messages[application] += 1
                        missing.setdefault(application, set()).update(lacked)
                        last[application] = max(created_at, last.get(application, created_at))
        return [
            Caller(name, count, last[name], tuple(sorted(missing[name])))
            for name, count in messages.most_common()
        ]

    def test_senders(self, channel: str) -> Sequence[tuple[int, str]]:
        rows = Sender.objects.filter(channel=channel, is_active=True).order_by("name")
        return list(rows.values_list("pk", "name"))

    def send_test(
        self,
        version: TemplateVersion,
        *,
        to: str,
        variables: dict[str, Any],
        sender_id: int | None,
        by: User,
        now: datetime,
    ) -> UUID:
        """Raises `DomainError` (`invalid_request`) for an address, a sender or variables that do
        not do, and for a text that cannot be rendered."""
        channel = version.template.channel
        content = _addressed(to, channel)
        if sender_id is not None and not _is_usable(sender_id, channel):
            raise _refusal("/sender_id", "not_found", "There is no such active sender.")
        try:
            ready = sending.make_ready(version)
        except RenderError as error:
            problem = error.problem
            raise _refusal(f"/{problem.part}", problem.code, problem.detail) from error
        rendered, _ = sending.render_checked(
            ready, variables, is_strict=False, locale=version.template.locale
        )
        application, _ = Application.objects.get_or_create(
            name=TESTS, defaults={"description": "Test mails of template editors."}
        )
        content = contents.filled(content, rendered, ready, channel=channel)
        if channel != Channel.EMAIL:
            contents.check(content, channel=channel)
        if name := places.named_by(channel, content.as_json()):
            sender_id = places.find(name, channel=channel, application_id=application.pk)
        message = Message(
            application=application,
            channel=channel,
            # A person waits for it.
            lane=Lane.HIGH,
            policy=Policy.AT_MOST_ONCE,
            recipient=content.to[0][1].lower(),
            content=content.as_json(),
            template_version=version,
            variable_names=sorted(variables),
            only_sender_id=sender_id,
            metadata={"tested_by": by.get_username()[:500]},
            expires_at=now + LIFETIME,
        )
        intake.store(intake.Ready(message, content), now=now)
        return message.pk

    def forget_tests(self, version: TemplateVersion) -> None:
        tests = Message.objects.filter(template_version=version, application__name=TESTS)
        tests.update(template_version=None, variable_names=None)


def _addressed(to: str, channel: str) -> Content:
    try:
        if channel == Channel.EMAIL or is_simulated(to):
            parsed = parse_address(to)
            person = (parsed.name, parsed.address)
        else:
            person = ("", parse_recipient(channel, to, region=settings.DEFAULT_REGION))
    except InvalidAddress as error:
        raise _refusal("/to", error.code, str(error)) from error
    if channel == Channel.EMAIL:
        return EmailContent(to=[person], subject="")
    kind = KINDS[channel]
    return TextContent(to=[person], format="") if kind is TextContent else kind(to=[person])


def _is_usable(sender_id: int, channel: str) -> bool:
    return Sender.objects.filter(pk=sender_id, channel=channel, is_active=True).exists()


def _refusal(pointer: str, code: str, detail: str) -> DomainError:
    return DomainError(Code.INVALID_REQUEST, detail, errors=(FieldError(pointer, code, detail),))
