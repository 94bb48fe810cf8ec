"""How to ask each route of the API for something that belongs to the owner of a key.

A new route needs one line in `ROUTES` (and its scope in `tests.test_architecture.ACCESS`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import ApiKey
from messaging.models import Attachment, Message, Sender, Status, WebhookEndpoint
from reporting import rollups
from templates_app.models import Template
from tests.factories import (
    make_batch,
    make_message,
    make_sender,
    make_suppression,
    make_template,
    make_version,
)
from tests.messaging.attachments.files import PDF, keep, named_file
from tests.messaging.webhooks.conftest import make_delivery, make_endpoint

# What a foreign key sees: that there is nothing (404), that there is nothing for an id in its body
# (422), an answer without the object, or what everybody sees because nothing of anybody is asked.
MISSING, UNKNOWN, UNSEEN, NOTHING = "missing", "unknown", "unseen", "nothing"

LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}


@dataclass(frozen=True)
class Asked:
    """A request that succeeds for the owner. `mark` is what only the owner may see in an answer,
    `row` what nobody else may change."""

    path: str
    body: Any = None
    foreign: str = MISSING
    mark: str = ""
    row: Any = None
    format: str = "json"
    parameters: dict[str, str] = field(default_factory=dict)


Maker = Callable[[ApiKey], Asked]


def message(key: ApiKey, **overrides: Any) -> Message:
    now = timezone.now()
    times = {"created_at": now, "due_at": now, "expires_at": now + timedelta(days=1)}
    fields = times | {"application": key.application, "reference": f"mark-of-{key.pk}"} | overrides
    return make_message(**fields)


def sender(key: ApiKey) -> Any:
    """One that is reserved for the key's application."""
    made = make_sender(name=f"mark-of-{key.pk}")
    made.applications.add(key.application)
    return made


def one_sender(key: ApiKey) -> Asked:
    row = sender(key)
    return Asked(f"senders/{row.name}", None, MISSING, row.name, row)


def template(key: ApiKey, *, drafts: int = 0, published: int = 0) -> Template:
    made = make_template(application=key.application, name=f"mark-of-{key.pk}")
    for _ in range(published):
        make_version(template=made, status="published")
    for _ in range(drafts):
        make_version(template=made)
    return made


def attachment(key: ApiKey) -> Attachment:
    return keep(f"mark-of-{key.pk}.pdf", key=key)


def endpoint(key: ApiKey) -> WebhookEndpoint:
    issued = make_endpoint(application=key.application, description=f"mark-of-{key.pk}")
    return issued.endpoint


def batch(key: ApiKey, *, messages: int = 1) -> Any:
    made = make_batch(api_key=key, request_id=f"mark-of-{key.pk}", accepted=messages)
    for _ in range(messages):
        message(key, batch=made)
    return made


def suppression(key: ApiKey) -> Any:
    return make_suppression(application=key.application, note=f"mark-of-{key.pk}")


def of(path: str, make: Callable[[ApiKey], Any], body: Any = None) -> Maker:
    """One object of the owner's by its id, `{pk}` in `path`."""

    def made(key: ApiKey) -> Asked:
        row = make(key)
        return Asked(path.format(pk=row.pk), body, MISSING, f"mark-of-{key.pk}", row)

    return made


def of_message(
    tail: str = "", body: Any = None, *, foreign: str = MISSING, **overrides: Any
) -> Maker:
    """`messages/{id}` and what hangs on it."""

    def make(key: ApiKey) -> Asked:
        row = message(key, **overrides)
        return Asked(f"messages/{row.pk}{tail}", body, foreign, f"mark-of-{key.pk}", row)

    return make


def of_template(tail: str = "", body: Any = None, *, drafts: int = 0, published: int = 0) -> Maker:
    """`templates/{code}` and what hangs on it."""

    def make(key: ApiKey) -> Asked:
        row = template(key, drafts=drafts, published=published)
        return Asked(f"templates/{row.code}{tail}", body, MISSING, f"mark-of-{key.pk}", row)

    return make


def fixed(path: str, body: Any) -> Maker:
    """Nothing of anybody is asked for."""
    return lambda key: Asked(path, body, NOTHING)


def listing(path: str, make: Callable[[ApiKey], Any]) -> Maker:
    def listed(key: ApiKey) -> Asked:
        make(key)
        return Asked(path, None, UNSEEN, f"mark-of-{key.pk}")

    return listed


def counted(path: str) -> Maker:
    """Statistics; of their own, everybody sees who sent it."""

    def make(key: ApiKey) -> Asked:
        name = sender(key).name
        row = message(key, sender=Sender.objects.get(name=name))
        rollups.recount(rollups.floor_hour(row.created_at), now=row.created_at)
        return Asked(path, None, *((UNSEEN, name) if "group_by" in path else (NOTHING,)))

    return make


def send_by_template(key: ApiKey) -> Asked:
    """Ids inside bodies are looked for among the caller's own, too."""
    code = template(key, published=1).code
    body = {"to": "ann@example.com", "template_code": code, "variables": {"name": "Ann"}}
    return Asked("messages/email/send", body)


def send_by_provider_template(path: str, channel: str) -> Maker:
    def make(key: ApiKey) -> Asked:
        made = make_template(application=key.application, channel=channel)
        make_version(
            template=made,
            status="published",
            subject="",
            body="Hello {{ name }}",
            body_format="text",
            html="",
            provider_template_id="SMS_1",
            provider_parameters={"name": "{{ name }}"},
        )
        to = {"sms": "+8613800138000", "wechat_official": "oABCD0123456789_example-id00"}[channel]
        body = {"to": to, "template_code": made.code, "variables": {"name": "Ann"}}
        return Asked(f"messages/{path}/send", body)

    return make


def send_to_place(path: str, adapter: str, to: str) -> Maker:
    """To a sender that is reserved for the key's application."""

    def make(key: ApiKey) -> Asked:
        name = f"place-{key.pk}"
        made = make_sender(channel=path, adapter=adapter, from_address="", name=name)
        made.applications.add(key.application)
        return Asked(f"messages/{path}/send", {"to": f"{to}{name}", "content": "Hello"}, UNKNOWN)

    return make


def query_messages(key: ApiKey) -> Asked:
    row = message(key)
    return Asked("messages/batch/query", {"ids": [str(row.pk)]}, UNSEEN, f"mark-of-{key.pk}", row)


def preview(key: ApiKey) -> Asked:
    code = template(key, published=1).code
    return Asked("templates/preview", {"template_code": code, "variables": {"name": "Ann"}})


def send_batch(key: ApiKey) -> Asked:
    row = attachment(key)
    items = [{"to": "ann@example.com"}, {"to": "ming@example.com"}]
    defaults = {"subject": "Hello", "content": "Hello", "attachment_ids": [str(row.pk)]}
    body = {"defaults": defaults, "items": items, "mode": "all_or_nothing"}
    return Asked("messages/batch", body, UNKNOWN, f"mark-of-{key.pk}", row)


def upload(key: ApiKey) -> Asked:
    return Asked(
        "attachments", {"file": named_file("invoice.pdf", PDF)}, NOTHING, format="multipart"
    )


def replay(key: ApiKey) -> Asked:
    told = make_delivery(endpoint(key), event="message.failed")
    path = f"webhooks/{told.endpoint_id}/deliveries/{told.pk}/replay"
    return Asked(path, None, MISSING, str(told.event_id), told)


def deliveries(key: ApiKey) -> Asked:
    told = make_delivery(endpoint(key), event="message.failed")
    return Asked(f"webhooks/{told.endpoint_id}/deliveries", None, MISSING, str(told.event_id), told)


HOOK = {"url": "https://hooks.example.com/x", "events": ["message.failed"], "description": "Ours"}

# One line a route and method: how to make what it asks for.
ROUTES: dict[str, dict[str, Maker]] = {
    "messages/email/send": {"post": send_by_template},
    "messages/sms/send": {"post": send_by_provider_template("sms", "sms")},
    "messages/wechat/send": {"post": send_to_place("wechat", "wecom_robot", "robot:")},
    "messages/wechat-official/send": {
        "post": send_by_provider_template("wechat-official", "wechat_official")
    },
    "messages/chat/send": {"post": send_to_place("chat", "apprise", "")},
    "messages/batch": {"post": send_batch},
    "messages": {"get": listing("messages", message)},
    "messages/batch/query": {"post": query_messages},
    "messages/<uuid:pk>": {"get": of_message()},
    "messages/<uuid:pk>/timeline": {"get": of_message("/timeline")},
    "messages/<uuid:pk>/cancel": {"post": of_message("/cancel")},
    "messages/<uuid:pk>/reschedule": {
        "post": of_message(
            "/reschedule", {"delay_seconds": 60}, due_at=timezone.now() + timedelta(hours=12)
        )
    },
    "messages/<uuid:pk>/resend": {"post": of_message("/resend", {}, status=Status.FAILED)},
    "batches": {"get": listing("batches", batch)},
    "batches/<uuid:pk>": {"get": of("batches/{pk}", batch)},
    "batches/<uuid:pk>/cancel": {"post": of("batches/{pk}/cancel", batch)},
    "attachments": {"post": upload},
    "attachments/<uuid:pk>": {
        "get": of("attachments/{pk}", attachment),
        "delete": of("attachments/{pk}", attachment),
    },
    "suppressions": {
        "get": listing("suppressions", suppression),
        "post": fixed("suppressions", {"address": "ann@example.com", "note": "Called."}),
    },
    "suppressions/import": {
        "post": fixed("suppressions/import", [{"address": "ann@example.com", "note": "Called."}])
    },
    "suppressions/export": {"get": listing("suppressions/export", suppression)},
    "suppressions/<int:pk>": {"delete": of("suppressions/{pk}", suppression)},
    "webhooks": {"get": listing("webhooks", endpoint), "post": fixed("webhooks", HOOK)},
    "webhooks/<uuid:pk>": {
        "get": of("webhooks/{pk}", endpoint),
        "patch": of("webhooks/{pk}", endpoint, {"description": "Changed"}),
        "delete": of("webhooks/{pk}", endpoint),
    },
    "webhooks/<uuid:pk>/rotate-secret": {
        "post": of("webhooks/{pk}/rotate-secret", endpoint, {"overlap_seconds": 60})
    },
    "webhooks/<uuid:pk>/test": {"post": of("webhooks/{pk}/test", endpoint)},
    "webhooks/<uuid:pk>/deliveries": {"get": deliveries},
    "webhooks/<uuid:pk>/deliveries/<uuid:delivery_pk>/replay": {"post": replay},
    "templates": {
        "get": listing("templates", template),
        "post": fixed("templates", {"code": "new", "subject": "New", "body": "<p>New</p>"}),
    },
    "templates/preview": {"post": preview},
    "templates/<str:code>": {
        "get": of_template(),
        "patch": of_template("", {"name": "Changed"}),
        "delete": of_template(),
    },
    "templates/<str:code>/rollback": {
        "post": of_template("/rollback", {"version": 1}, published=2)
    },
    "templates/<str:code>/versions": {
        "get": of_template("/versions", published=1),
        "post": of_template("/versions", {"subject": "New", "body": "<p>New</p>"}),
    },
    "templates/<str:code>/versions/<int:number>": {
        "get": of_template("/versions/1", drafts=1),
        "patch": of_template("/versions/1", {"subject": "Changed"}, drafts=1),
        "delete": of_template("/versions/1", drafts=1),
    },
    "templates/<str:code>/versions/<int:number>/publish": {
        "post": of_template("/versions/1/publish", {}, drafts=1)
    },
    "senders": {"get": listing("senders", sender)},
    "senders/<slug:name>": {"get": one_sender},
    "statistics/summary": {"get": counted("statistics/summary")},
    "statistics/timeseries": {"get": counted("statistics/timeseries?group_by=sender")},
}
# Who asks here has no token yet; `tests/accounts/test_token_api.py` is about it.
WITHOUT_TOKEN = {"auth/token": {"post"}}
