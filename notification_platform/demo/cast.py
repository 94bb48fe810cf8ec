"""Who plays: applications with their keys, templates with versions, senders, webhook endpoints."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.keys import issue_key
from accounts.models import ApiKey, Application
from messaging.callbacks.endpoints import give_secret
from messaging.models import Sender, SenderGroup, WebhookEndpoint, WebhookEvent
from messaging.simulation import simulator_id
from notification_platform.demo.words import APPS, TEXTS, Text
from templates_app import publishing
from templates_app.models import Template, TemplateVersion
from templates_app.publishing import Author, Draft
from templates_app.source import Source

# Nobody listens there, and nothing leaves the machine: what is handed over is refused at once.
NOWHERE = "127.0.0.1:9"
# By adapter: options and credentials that lead nowhere.
ADRIFT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "smtp": ({"host": "127.0.0.1", "port": 9, "security": "none"}, {}),
    "anymail": (
        {"backend": "mailgun", "sender_domain": "example.com", "api_url": f"http://{NOWHERE}"},
        {"api_key": "demo"},
    ),
    "aliyun_sms": (
        {"access_key_id": "demo", "sign_name": "示例科技", "api_url": f"http://{NOWHERE}"},
        {"access_key_secret": "demo"},
    ),
    "wecom_app": (
        {"corp_id": "demo", "agent_id": 1000002, "api_url": f"http://{NOWHERE}"},
        {"secret": "demo"},
    ),
    "wecom_robot": ({"api_url": f"http://{NOWHERE}"}, {"key": "demo"}),
    "wechat_official": (
        {"app_id": "demo", "api_url": f"http://{NOWHERE}"},
        {"app_secret": "demo"},
    ),
    "apprise": ({}, {"url": f"ntfy://{NOWHERE}/demo"}),
}
# Those of `make run` that take what senders of the same adapter send.
LOCAL = {
    "smtp": "local-mailbox",
    "aliyun_sms": "local-sms",
    "wecom_app": "local-wecom",
    "wecom_robot": "ops-robot",
    "wechat_official": "local-official",
    "apprise": "ops-chat",
}
GROUP = "demo-example-com"
# `demo-` tells them from an operator's own.
SENDERS: tuple[dict[str, Any], ...] = (
    {"name": "demo-esp", "adapter": "anymail", "priority": 20, "weight": 100},
    {"name": "demo-mail-1", "adapter": "smtp", "priority": 10, "per_minute": 3000, "group": GROUP},
    {"name": "demo-mail-2", "adapter": "smtp", "priority": 10, "per_minute": 3000, "group": GROUP},
    {"name": "demo-mail-3", "adapter": "smtp", "priority": 10, "weight": 50},
    {"name": "demo-esp-2", "adapter": "anymail", "priority": 10, "weight": 50},
    {"name": "demo-mail-old", "adapter": "smtp", "priority": 10, "weight": 20},
    {"name": "demo-mail-spare", "adapter": "smtp", "per_day": 50_000},
    {"name": "demo-sms-1", "adapter": "aliyun_sms", "priority": 10, "per_day": 100_000},
    {"name": "demo-sms-2", "adapter": "aliyun_sms", "per_minute": 1, "per_hour": 20},
    {"name": "demo-wecom", "adapter": "wecom_app", "per_minute": 200},
    {"name": "demo-ops-robot", "adapter": "wecom_robot", "per_minute": 20},
    {"name": "demo-official", "adapter": "wechat_official", "per_day": 100_000},
    {"name": "demo-team-chat", "adapter": "apprise"},
    {"name": "demo-on-call", "adapter": "apprise"},
)
CHANNELS = {
    "smtp": "email",
    "anymail": "email",
    "aliyun_sms": "sms",
    "wecom_app": "wechat",
    "wecom_robot": "wechat",
    "wechat_official": "wechat_official",
    "apprise": "chat",
}


@dataclass(frozen=True, slots=True)
class Published:
    """A version and from when on it is the one that is sent."""

    text: Text
    version: TemplateVersion
    since: datetime


@dataclass(frozen=True, slots=True)
class Cast:
    applications: dict[str, Application]
    live_keys: dict[str, ApiKey]
    test_keys: dict[str, ApiKey]
    versions: dict[str, list[Published]]
    senders: dict[str, Sender]
    # By channel.
    simulators: dict[str, Sender]
    endpoints: list[WebhookEndpoint]


def make(*, language: str, since: datetime, now: datetime) -> Cast:
    """All of it, in the transaction that is open. Keys are made for looking at: their secrets are
    told nobody, so nobody can use them."""
    place = 0 if language == "en" else 1
    applications, live_keys, test_keys = {}, {}, {}
    for app in APPS:
        applications[app.key] = application = Application.objects.create(
            name=app.name[place],
            description=app.about[place],
            allowed_countries=["US"],
            created_at=since - timedelta(days=7),
        )
        live_keys[app.key] = _key(application, "production", ApiKey.Kind.LIVE, since, now)
        test_keys[app.key] = _key(application, "staging", ApiKey.Kind.TEST, since, now)
    versions = {
        text.code: list(_published(text, applications[text.app], language, since, now))
        for text in TEXTS
    }
    senders = {sender.name: sender for sender in _senders(applications, since)}
    channels = {text.channel for text in TEXTS}
    simulators = {
        channel: Sender.objects.get(pk=simulator_id(channel)) for channel in sorted(channels)
    }
    endpoints = list(_endpoints(applications, since, now))
    return Cast(applications, live_keys, test_keys, versions, senders, simulators, endpoints)


def follow_local_senders() -> None:
    """Lead the demo's senders to the mailbox and the imitations of `make run`, whose ports change
    with every start. Where there are none they lead nowhere."""
    names = [each["name"] for each in SENDERS]
    for sender in Sender.objects.filter(name__in=names):
        local = Sender.objects.filter(name=LOCAL.get(sender.adapter)).first()
        if local is not None:
            sender.options, sender.credentials = local.options, local.open_credentials()
            sender.save(update_fields=["options", "credentials"])


def _key(
    application: Application, name: str, kind: ApiKey.Kind, since: datetime, now: datetime
) -> ApiKey:
    key = issue_key(application=application, name=name, kind=kind).key
    key.created_at, key.last_used_at = since - timedelta(days=7), now - timedelta(minutes=1)
    key.save(update_fields=["created_at", "last_used_at"])
    return key


def _published(
    text: Text, application: Application, language: str, since: datetime, now: datetime
) -> list[Published]:
    """Two versions of every third template, the second from the middle of the time on."""
    name, subject, body = text.words(language)
    made_at = since - timedelta(days=6)
    template = Template(
        code=text.code,
        channel=text.channel,
        name=name,
        application=application,
        priority=text.lane,
        policy=text.policy,
        lifetime_seconds=text.lifetime,
        created_at=made_at,
        updated_at=made_at,
    )
    author = Author("generate_demo_data")
    publishing.create_template(template, draft=None, by=author, now=made_at)
    found: list[Published] = []
    is_mail = text.channel == "email"
    halfway = since + (now - since) / 2
    for moment in (made_at, halfway) if len(text.code) % 3 == 0 else (made_at,):
        closing = "\n\n[www.example.com](https://www.example.com)" if is_mail and found else ""
        source = Source(
            subject=subject,
            body=body + closing,
            body_format="markdown" if is_mail else "text",
            channel=text.channel,
            parameters=dict(text.parameters),
        )
        kind = "template" if text.channel == "wechat_official" else ""
        draft = Draft(source, provider_template_id=text.provider_id, provider_kind=kind)
        version = publishing.save_draft(template, draft, by=author, now=moment)
        version = publishing.publish(version, change_note="", by=author, now=moment)
        found.append(Published(text, version, moment))
    return found


def _senders(applications: dict[str, Application], since: datetime) -> list[Sender]:
    made_at = since - timedelta(days=7)
    group = SenderGroup.objects.create(name=GROUP, per_day=60_000, created_at=made_at)
    made = []
    for given in SENDERS:
        values = {**given, "group": group if "group" in given else None}
        sender = Sender(**values, channel=CHANNELS[given["adapter"]], created_at=made_at)
        if sender.channel == "email":
            sender.from_address, sender.from_name = f"{sender.name}@example.com", "Example"
        sender.options, sender.credentials = ADRIFT[sender.adapter]
        sender.full_clean()
        sender.save(force_insert=True)
        made.append(sender)
    made[0].applications.set([applications["crm"], applications["shop"]])
    return made


def _endpoints(
    applications: dict[str, Application], since: datetime, now: datetime
) -> list[WebhookEndpoint]:
    """One that hears what went wrong, one that heard all until it was switched off. Both are at an
    address for documentation, which nothing is ever sent to."""
    bad = [WebhookEvent.FAILED, WebhookEvent.BOUNCED, WebhookEvent.COMPLAINED]
    heard = {"shop": [event.value for event in bad], "support": list(WebhookEvent.values)}
    made = []
    for number, (app, events) in enumerate(heard.items()):
        endpoint = WebhookEndpoint(
            application=applications[app],
            url=f"https://192.0.2.{10 + number}/notifications",
            events=events,
            created_at=max(since, now - timedelta(days=6)),
        )
        give_secret(endpoint)
        endpoint.save(force_insert=True)
        made.append(endpoint)
    return made
