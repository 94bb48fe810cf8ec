"""One call: sign, post, and put what came of it into a few words. Touches no database."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from core import outgoing
from core.masking import mask_addresses
from core.outgoing_addresses import ForbiddenUrl
from messaging.callbacks import signing

USER_AGENT = "notification-platform-webhooks/1"
GONE = 410
# For a whole call, resolving the name included.
SECONDS = 10.0
# Of what an endpoint answered when it did not take it.
WORDS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Call:
    """All that a thread needs to make it."""

    delivery_id: UUID
    endpoint_id: UUID
    lease_token: int
    tries: int
    url: str
    event_id: str
    body: bytes
    # The tries before this one, for the log.
    history: tuple[dict[str, Any], ...]
    secrets: tuple[str, ...] = field(repr=False)
    # Why it cannot be made: it counts as a failed try.
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """`code` is the HTTP status, None where none came."""

    code: int | None
    words: str
    milliseconds: int
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


def rules() -> outgoing.Rules:
    return outgoing.Rules(
        networks=settings.WEBHOOK_ALLOWED_NETWORKS,
        allows_http=settings.WEBHOOK_ALLOW_HTTP,
        ca_file=settings.WEBHOOK_CA_FILE,
    )


def body_of(payload: dict[str, Any]) -> bytes:
    """The same bytes at every try."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def make(call: Call, *, now: datetime) -> tuple[int | None, str, timedelta | None]:
    """Status, words and `Retry-After` of one call. Raises nothing that an endpoint can cause."""
    if call.obstacle:
        return None, call.obstacle, None
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        **signing.headers(call.secrets, event_id=call.event_id, body=call.body, now=now),
    }
    try:
        answer = outgoing.post(call.url, call.body, headers=headers, rules=rules(), seconds=SECONDS)
    except ForbiddenUrl as error:
        return None, f"Not called. {error}", None
    except outgoing.CallFailed as error:
        return None, str(error), None
    if 200 <= answer.status < 300:
        return answer.status, "", None
    words = f"HTTP {answer.status}"
    if 300 <= answer.status < 400:
        words += ", a redirect; none is followed"
    if said := answer.body[: 4 * WORDS_KEPT].decode(errors="replace").strip():
        words += f": {mask_addresses(said)[:WORDS_KEPT]}"
    lowered = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status, words, read_retry_after(lowered.get("retry-after", ""), now=now)


def read_retry_after(text: str, *, now: datetime) -> timedelta | None:
    """Seconds or a date (RFC 9110, section 10.2.3); None for anything else."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(timedelta(0), moment - now)
