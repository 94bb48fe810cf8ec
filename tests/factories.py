"""Plain functions that make rows. Each takes what the test is about and invents the rest."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import Group, Permission
from django_otp.oath import TOTP

from accounts.keys import IssuedKey, issue_key
from accounts.models import ApiKey, Application, SecondFactor, User
from core.ids import lowest_uuid7
from messaging import delivery, suppressions
from messaging.attempts import Mark
from messaging.models import Attempt, Batch, Message, Sender, SenderGroup, Status, Suppression
from messaging.suppressions import Entry
from templates_app.models import Template, TemplateVersion

_numbers = itertools.count(1)

# A moment with nothing special about it; rows made by `make_message` are due then.
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def make_application(**overrides: Any) -> Application:
    return Application.objects.create(**{"name": f"application-{next(_numbers)}"} | overrides)


def make_issued_key(**overrides: Any) -> IssuedKey:
    application = overrides.pop("application", None) or make_application()
    fields: dict[str, Any] = {"application": application, "name": "tests"}
    return issue_key(**fields | overrides)


def make_api_key(**overrides: Any) -> ApiKey:
    return make_issued_key(**overrides).key


def make_operator(**overrides: Any) -> User:
    username = overrides.pop("username", f"operator-{next(_numbers)}")
    return User.objects.create_superuser(username=username, password="tests", **overrides)


def make_staff(*permissions: str) -> User:
    """Somebody who may open the admin and do what `permissions` (`view_message`, …) allow."""
    username = f"staff-{next(_numbers)}"
    user = User.objects.create_user(username=username, password="tests", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def make_member(role: str) -> User:
    """Somebody in one of the groups that there are from the start."""
    user = make_staff()
    user.groups.add(Group.objects.get(name=role))
    return user


def code_of(user: User, *, later: int = 0) -> str:
    """What the app of `user` shows, `later` steps from now."""
    totp = TOTP(bytes.fromhex(SecondFactor.objects.get(user=user).key.open()))
    totp.time = datetime.now(UTC).timestamp() + 30 * later
    return f"{totp.token():06}"


def make_sender(**overrides: Any) -> Sender:
    number = next(_numbers)
    fields = {
        "name": f"sender-{number}",
        "channel": "email",
        "adapter": "fake",
        "from_address": f"sender-{number}@example.com",
    }
    return Sender.objects.create(**fields | overrides)


def make_group(**overrides: Any) -> SenderGroup:
    return SenderGroup.objects.create(**{"name": f"group-{next(_numbers)}"} | overrides)


def make_batch(**overrides: Any) -> Batch:
    key = overrides.pop("api_key", None) or make_api_key()
    counts = {"accepted": 0, "rejected": 0, "deduplicated": 0}
    fields = {"application": key.application, "api_key": key, "channel": "email"} | counts
    return Batch.objects.create(**fields | overrides)


def make_message(**overrides: Any) -> Message:
    """A pending message that is due at noon; `status` with what belongs to it may be given."""
    application = overrides.pop("application", None) or make_application()
    content = {"to": [["", "ann@example.com"]], "subject": "Hello", "html": "<p>Hello</p>"}
    fields: dict[str, Any] = {
        "application": application,
        "channel": "email",
        "recipient": "ann@example.com",
        "content": content,
        "created_at": NOON,
        "due_at": NOON,
        "expires_at": NOON + timedelta(hours=72),
    }
    fields |= overrides
    status = fields.get("status", Status.PENDING)
    if status in {Status.SUCCESS, Status.FAILED, Status.CANCELLED}:
        fields.setdefault("finished_at", NOON)
    if status == Status.FAILED:
        fields.setdefault("reason", "rejected")
    if status == Status.SENDING:
        fields.setdefault("leased_until", NOON + timedelta(minutes=5))
    return Message.objects.create(**fields)


def make_attempts(
    sender: Sender,
    count: int = 1,
    *,
    outcome: str = "accepted",
    now: datetime = NOON,
    ago: timedelta = timedelta(minutes=1),
    **fields: Any,
) -> list[Attempt]:
    """Of one message, begun so long before `now`, as their ids say too."""
    message, at = make_message(), now - ago
    fields = {"lease_token": 1, "started_at": at} | fields
    if outcome:
        fields.setdefault("finished_at", at + timedelta(seconds=0.2))
    lowest = lowest_uuid7(at).int
    return Attempt.objects.bulk_create(
        Attempt(
            id=UUID(int=lowest + next(_numbers)),
            message=message,
            sender=sender,
            outcome=outcome,
            **fields,
        )
        for _ in range(count)
    )


def make_suppression(**overrides: Any) -> Suppression:
    """For all applications, unless `application` is given."""
    application = overrides.pop("application", None)
    channel = overrides.pop("channel", "email")
    fields: dict[str, Any] = {"address": f"nobody-{next(_numbers)}@example.com"}
    row, _ = suppressions.add(
        Entry(**fields | overrides),
        channel=channel,
        application_id=application.pk if application else None,
        source="tests",
        now=NOON,
    )
    return row


def drain(*, lane: str = "normal", now: datetime = NOON, channel: str = "email") -> int:
    return delivery.drain(channel=channel, lane=lane, clock=lambda: now)


Row = TypeVar("Row")


def reloaded(row: Row) -> Row:
    return type(row).objects.get(pk=row.pk)  # type: ignore[attr-defined]


def attempt_of(mark: Mark) -> Attempt:
    """What became of a mark."""
    return Attempt.objects.get(pk=mark.pk)


def make_template(**overrides: Any) -> Template:
    fields = {"code": f"template-{next(_numbers)}", "name": "A template"}
    return Template.objects.create(**fields | overrides)


def make_version(**overrides: Any) -> TemplateVersion:
    """A draft; with `status="published"` it is published, and current unless told otherwise."""
    template = overrides.pop("template", None) or make_template()
    is_current = overrides.pop("is_current", overrides.get("status") == "published")
    fields: dict[str, Any] = {
        "number": template.versions.count() + 1,
        "subject": "Hello {{ name }}",
        "body": "<p>Hello {{ name }}</p>",
        "variables": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    }
    fields |= overrides
    fields.setdefault("html", fields["body"])
    if fields.get("status") == "published":
        fields.setdefault("published_at", NOON)
    version = TemplateVersion.objects.create(template=template, **fields)
    if is_current:
        template.current_version = version
        template.save(update_fields=["current_version"])
    return version
