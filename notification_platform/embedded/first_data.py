"""What the embedded mode starts with: an application with a key, an operator, a sender of each
channel, the starter templates."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from django.urls import reverse
from django.utils import timezone

from accounts.keys import is_valid, issue_key
from accounts.models import ApiKey, Application, User
from messaging.hooks import hook_token
from messaging.models import Sender
from messaging.senders import save_sender
from notification_platform.demo.cast import follow_local_senders
from notification_platform.embedded.local_senders import LocalSender
from notification_platform.embedded.providers.server import LocalProvider
from templates_app.files import STARTERS, import_folder
from templates_app.publishing import Author

APPLICATION = "demo"
SENDER = "local-mailbox"
OPERATOR = "admin"


@dataclass(slots=True)
class Access:
    """How to get in. Kept in a file of the data folder that only its owner can read."""

    api_key: str = ""
    api_secret: str = ""
    operator: str = OPERATOR
    password: str = ""


def make(
    path: Path,
    *,
    port: int,
    mailbox_port: int,
    providers: Iterable[tuple[LocalSender, LocalProvider]] = (),
) -> Access:
    """Whatever is missing; what is there is kept. The senders follow the ports of the mailbox and
    of the providers, and these report to our `port`."""
    access = Access(**json.loads(path.read_text())) if path.exists() else Access()
    key = ApiKey.objects.select_related("application").filter(key_id=access.api_key).first()
    if key is None or not is_valid(key, now=timezone.now()):
        application, _ = Application.objects.get_or_create(
            name=APPLICATION, defaults={"description": "Made by `make run` for trying out."}
        )
        issued = issue_key(application=application, name="make run")
        access.api_key, access.api_secret = issued.key.key_id, issued.secret
    if not User.objects.filter(username=OPERATOR).exists():
        access.password = secrets.token_urlsafe(12)
        User.objects.create_superuser(OPERATOR, password=access.password)
    _follow_mailbox(mailbox_port)
    for local, provider in providers:
        _follow_provider(local, provider, port=port)
    # Those of `generate_demo_data`, if it was called here.
    follow_local_senders()
    # Only what is missing: what somebody changed stays.
    import_folder(
        STARTERS,
        application=None,
        by=Author("make run"),
        now=timezone.now(),
        is_published=True,
        only_new=True,
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(access), file, indent=2)
    return access


def _follow_mailbox(port: int) -> None:
    sender = Sender.objects.filter(name=SENDER).first() or Sender(
        name=SENDER,
        channel="email",
        adapter="smtp",
        from_address="noreply@example.com",
        from_name="Notifications",
    )
    sender.options = {"host": "127.0.0.1", "port": port, "security": "none"}
    save_sender(sender, credentials={})


def _follow_provider(local: LocalSender, provider: LocalProvider, *, port: int) -> None:
    sender = Sender.objects.filter(name=local.name).first() or Sender(name=local.name)
    sender.channel, sender.adapter = local.channel, local.adapter
    sender.options, credentials = local.account(provider)
    save_sender(sender, credentials=credentials)
    if local.reports_to is not None:
        path = reverse("provider-report", args=[hook_token(sender)])
        local.reports_to(provider, f"http://127.0.0.1:{port}{path}")
