"""What was told to the webhooks of demo applications, and what they answered."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

from messaging import outbox
from messaging.callbacks import ladder
from messaging.models import WebhookEndpoint
from notification_platform.demo.life import Life
from notification_platform.demo.rows import Row

# Of a thousand calls so many meet a server that is restarting, and one that breaks on the event.
RESTARTING, BROKEN = 20, 2


class Listeners:
    def __init__(
        self,
        endpoints: list[WebhookEndpoint],
        *,
        until: float,
        new_id: Callable[[float], str],
        rng: Random,
    ) -> None:
        self.endpoints = {endpoint.application_id: endpoint for endpoint in endpoints}
        self.since = {e.application_id: e.created_at.timestamp() + 1 for e in endpoints}
        self.until = until
        self.new_id = new_id
        self.rng = rng
        self.last_success: dict[UUID, float] = {}

    def tell(self, life: Life, event: str, at: float) -> Row | None:
        """A row of what `life` became at `at`; None where nobody listens."""
        endpoint = self.endpoints.get(life.application_id)
        if endpoint is None or event not in endpoint.events or at < self.since[life.application_id]:
            return None
        calls, is_over = self._calls(at)
        if not calls:
            return None
        history = [_entry(*call) for call in calls]
        last_at, code, words, _ = calls[-1]
        if is_over and code == 200:
            self.last_success[endpoint.pk] = last_at
        return (
            *(self.new_id(at), endpoint.pk.hex, self.new_id(at), event, life.id),
            json.dumps(_payload(life, event, at)),
            "delivered" if code == 200 else "failed",
            *(calls[-1][0], None, len(calls), len(calls), code, words),
            *(json.dumps(history), at, last_at),
        )

    def _calls(self, at: float) -> tuple[list[tuple[float, int, str, int]], bool]:
        """When, with which answer and how long; none of it later than now."""
        rng, dice = self.rng, self.rng.random() * 1000
        quick = rng.randrange(18, 160)
        moment = at + 0.03 + quick / 1000
        if dice < BROKEN:
            calls = []
            for tries in range(1, ladder.MAX_TRIES + 1):
                calls.append((moment, 500, "HTTP 500: Internal Server Error", quick))
                wait = ladder.WAITS[min(tries, len(ladder.WAITS)) - 1].total_seconds()
                moment += wait * rng.uniform(0.9, 1.1)
            if calls[-1][0] <= self.until:
                return calls, True
        elif dice < RESTARTING:
            again = moment + 5.2
            calls = [(moment, 503, "HTTP 503: restarting", quick), (again, 200, "", quick)]
            return (calls, True) if again <= self.until else ([], False)
        return ([(moment, 200, "", quick)], True) if moment <= self.until else ([], False)


def _entry(at: float, code: int, words: str, milliseconds: int) -> dict[str, Any]:
    return {"at": _told(at), "code": code, "words": words, "milliseconds": milliseconds}


def _told(at: float | None) -> str | None:
    return None if at is None else outbox.moment(datetime.fromtimestamp(at, UTC))


def _payload(life: Life, event: str, at: float) -> dict[str, Any]:
    """As `messaging.outbox` makes it."""
    return {
        "type": event,
        "timestamp": _told(at),
        "data": {
            "id": str(UUID(life.id)),
            "batch_id": str(UUID(life.batch_id)) if life.batch_id else None,
            "channel": life.text.channel,
            "status": life.status,
            "reason": life.reason,
            "feedback": life.feedback,
            "reference": life.reference,
            "metadata": json.loads(life.metadata),
            "tags": list(life.text.tags),
            "created_at": _told(life.created_at),
            "finished_at": _told(life.finished_at),
        },
    }
