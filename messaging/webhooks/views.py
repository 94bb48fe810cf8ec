import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from messaging import hooks
from messaging.channels.reports import ForgedReport
from messaging.models import Sender

log = structlog.get_logger(__name__)


@csrf_exempt
def provider_report(request: HttpRequest, token: str) -> HttpResponse:
    """A report of a sender's provider. 200 says that it is stored; it is processed afterwards."""
    try:
        return _quietly(_answer(request, token))
    except (OperationalError, InterfaceError) as error:
        # Providers come again after a 503.
        log.error("report_not_stored", error=type(error).__name__)
        return _quietly(HttpResponse(status=503, headers={"Retry-After": "30"}))


def _answer(request: HttpRequest, token: str) -> HttpResponse:
    sender = hooks.find_sender(token)
    if sender is None:
        return HttpResponse("There is no such address.\n", status=404, content_type="text/plain")
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
    try:
        return _greet(request, sender) if request.method != "POST" else _take_in(request, sender)
    except ForgedReport as error:
        log.warning("report_refused", sender=sender.name, why=str(error))
        return HttpResponse(f"{error}\n", status=403, content_type="text/plain")


def _greet(request: HttpRequest, sender: Sender) -> HttpResponse:
    """Some look whether the address exists before they keep it."""
    words = hooks.greet(request, sender=sender)
    return HttpResponse(words or "Reports are posted here.\n", content_type="text/plain")


def _take_in(request: HttpRequest, sender: Sender) -> HttpResponse:
    try:
        body = request.read(settings.MAX_BODY_BYTES + 1)
    except OSError:
        return HttpResponse(status=400)
    if len(body) > settings.MAX_BODY_BYTES:
        return HttpResponse("Larger than 1 MiB.\n", status=413, content_type="text/plain")
    words, content_type = hooks.take_in(request, body, sender=sender)
    return HttpResponse(words, content_type=content_type)


def _quietly(response: HttpResponse) -> HttpResponse:
    """Django writes the path of refused requests into the log, and this one is a secret."""
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response
