"""Answers to requests that store something: one for each idempotency key."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from accounts import quotas
from accounts.authentication import caller_of
from accounts.quotas import Letter
from core.errors import Code, DomainError, FieldError
from core.middleware import request_id_of
from messaging import idempotency
from messaging.idempotency import Answer, Keyed, Overtaken
from messaging.intake import Origin

HEADER, FIELD = "Idempotency-Key", "idempotency_key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")


class CountsNew(Protocol):
    """What was stored: of each message that was asked for, whether it is new."""

    @property
    def are_new(self) -> Sequence[bool]: ...


Stored = TypeVar("Stored", bound=CountsNew)


def origin_of(request: Request, *, is_keyed: bool = False) -> Origin:
    caller = caller_of(request)
    return Origin(
        application_id=caller.application_id,
        api_key_id=caller.api_key_id,
        request_id=request_id_of(request),
        is_test=caller.is_test,
        dedupe_seconds=caller.dedupe_seconds,
        is_keyed=is_keyed,
        allowed_recipients=caller.allowed_recipients,
        allowance=caller.allowance,
    )


class Once:
    """One request, whose answer is kept in the transaction that stores what it asks for, if it has
    an idempotency key. The body is looked at no further: also what would be refused by now gets the
    answer that it got when it was accepted."""

    def __init__(self, request: Request) -> None:
        self.keyed = keyed_of(request)
        self.origin = origin_of(request, is_keyed=self.keyed is not None)

    def earlier(self) -> HttpResponse | None:
        """Raises `DomainError` for a key that was used for another request."""
        if self.keyed is None:
            return None
        answer = idempotency.find(self.keyed, now=timezone.now())
        return response_of(answer, is_replayed=True) if answer else None

    def answer(
        self,
        store: Callable[[], Stored],
        tell: Callable[[Stored], tuple[int, dict[str, Any]]],
        *,
        letters: Sequence[Letter],
        now: datetime,
    ) -> HttpResponse:
        """`tell` makes status and body of what `store` stored. The quota of `letters`, one for each
        message that it may store, was taken at `now`: what is not used is given back."""
        allowance = self.origin.allowance
        try:
            stored, answer = self._store(store, tell)
        except Overtaken:
            # Whoever was first has committed: that is what was waited for.
            quotas.give_back(allowance, letters, now=now)
            return self.earlier() or self._come_again()
        except BaseException:
            quotas.give_back(allowance, letters, now=now)
            raise
        used = zip(letters, stored.are_new, strict=True) if letters else ()
        quotas.give_back(allowance, [letter for letter, is_new in used if not is_new], now=now)
        return response_of(answer)

    def _store(
        self, store: Callable[[], Stored], tell: Callable[[Stored], tuple[int, dict[str, Any]]]
    ) -> tuple[Stored, Answer]:
        if self.keyed is None:
            stored = store()
            return stored, _answer(*tell(stored))
        with transaction.atomic():
            idempotency.wait_briefly()
            stored = store()
            answer = _answer(*tell(stored))
            idempotency.keep(self.keyed, answer, now=timezone.now())
        return stored, answer

    def _come_again(self) -> HttpResponse:
        """What overtook this request is 72 hours old by now: a matter of microseconds."""
        raise DomainError(Code.IDEMPOTENCY_KEY_IN_USE, "Repeat the request.")


def keyed_of(request: Request) -> Keyed | None:
    """The key of the header or the body. Raises `DomainError` for one that is none."""
    body = request.data if isinstance(request.data, dict) else {}
    given = {HEADER: request.headers[HEADER]} if HEADER in request.headers else {}
    if FIELD in body:
        given[FIELD] = body[FIELD]
    if not given:
        return None
    errors = [
        FieldError(
            f"/{FIELD}" if place == FIELD else f"header {HEADER}",
            "invalid_key",
            "It must be 1 to 255 visible ASCII characters, without spaces.",
        )
        for place, value in given.items()
        if not (isinstance(value, str) and _KEY.fullmatch(value))
    ]
    if not errors and len(set(given.values())) > 1:
        words = f"It differs from the header {HEADER}."
        errors = [FieldError(f"/{FIELD}", "conflict", words)]
    if errors:
        raise DomainError(
            Code.INVALID_REQUEST, "The idempotency key cannot be used.", errors=tuple(errors)
        )
    caller = caller_of(request)
    return Keyed(
        application_id=caller.application_id,
        is_test=caller.is_test,
        key=next(iter(given.values())),
        fingerprint=idempotency.fingerprint_of(request.path, body),
    )


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, JSONRenderer().render(body).decode())


def response_of(answer: Answer, *, is_replayed: bool = False) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    if is_replayed:
        response.headers[REPLAYED] = "true"
    return response
