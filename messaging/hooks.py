"""The addresses at which providers report, and what comes in there: verified, stored, answered."""

import structlog
from django.http import HttpRequest

from core.secrets import UnreadableSecret
from messaging import doorbell
from messaging.channels.base import Account, ChannelAdapter
from messaging.channels.registry import ADAPTERS
from messaging.channels.reports import ForgedReport, kept_headers, with_body
from messaging.models import ProviderReport, Sender, SenderHook
from messaging.models.report import new_hook_token

log = structlog.get_logger(__name__)


def takes_reports(sender: Sender) -> bool:
    """Whether its provider can report at all."""
    adapter = ADAPTERS.get(sender.adapter)
    return adapter is not None and adapter.takes_reports(sender.options)


def hook_token(sender: Sender) -> str:
    """The secret part of its address; made when it is first shown."""
    hook, _ = SenderHook.objects.get_or_create(sender=sender)
    return hook.token


def renew_hook(sender: Sender) -> None:
    """A new address at once; the old one is unknown from now on."""
    SenderHook.objects.update_or_create(sender=sender, defaults={"token": new_hook_token()})


def find_sender(token: str) -> Sender | None:
    """Also one that is switched off: it has sent before."""
    hook = SenderHook.objects.select_related("sender").filter(token=token).first()
    return hook.sender if hook is not None else None


def greet(request: HttpRequest, *, sender: Sender) -> str | None:
    """What a provider wants to read that tries the address; None if anything will do. Raises
    `ForgedReport`."""
    adapter, account = _adapter_of(sender)
    return adapter.greet(request, account)


def take_in(request: HttpRequest, body: bytes, *, sender: Sender) -> tuple[str, str]:
    """Store one report as it came, if it has any news, and have it processed. Returns what its
    provider wants to read, and of which type. Raises `ForgedReport`."""
    adapter, account = _adapter_of(sender)
    whole = with_body(request, body)
    adapter.check_report(whole, account)
    if adapter.has_news(whole, account):
        ProviderReport.objects.create(sender=sender, body=body, headers=kept_headers(request))
        doorbell.ring_reports()
    return adapter.thanks


def _adapter_of(sender: Sender) -> tuple[type[ChannelAdapter], Account]:
    try:
        return ADAPTERS[sender.adapter], sender.account()
    except (KeyError, UnreadableSecret) as error:
        raise ForgedReport("The sender's settings cannot be read.") from error
