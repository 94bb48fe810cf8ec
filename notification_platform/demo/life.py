"""One message of the demo with all that it leaves behind, as rows."""

import json
from dataclasses import dataclass, field
from typing import Any

from messaging.models import (
    Attempt,
    Batch,
    Event,
    FeedbackEvent,
    Message,
    OtherRecipient,
    Suppression,
    WebhookDelivery,
)
from notification_platform.demo.contents import Person
from notification_platform.demo.rows import Row, Store, Table
from notification_platform.demo.words import Text


@dataclass(slots=True)
class Life:
    """Named as on `Message`; ids are 32 digits, moments seconds since 1970. `plan`: what comes of
    its hand-overs, one after the other, as far as the message is to blame."""

    id: str
    application_id: int
    api_key_id: int
    text: Text
    to: Person
    content: str
    created_at: float
    due_at: float
    expires_at: float
    template_version_id: int | None
    variable_names: str | None
    reference: str
    metadata: str
    tags: str
    request_id: str
    plan: list[str]
    # It is sent to nobody again: its recipient bounces, complains, unsubscribes or was suppressed.
    is_last: bool = False
    only_sender_id: int | None = None
    # `cancelled`, `suppressed`, `repeated`, `rescheduled`, or nothing of the kind.
    fate: str = ""
    # It is written down, and changes no more.
    is_over: bool = False
    # The sender that takes it if that one can: somebody has to notice that it is ill.
    wants: str = ""
    batch_id: str | None = None
    status: str = "pending"
    reason: str = ""
    reason_detail: str = ""
    feedback: str = ""
    sender_id: int | None = None
    finished_at: float | None = None
    lease_token: int = 0
    claims: int = 0
    tries: int = 0
    unknown_resends: int = 0
    attempts: list[list[Any]] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    news: list[Row] = field(default_factory=list)
    others: list[Row] = field(default_factory=list)
    doubted: list[int] = field(default_factory=list)
    resent_at: float | None = None

    @property
    def lane(self) -> str:
        return self.text.lane

    def happened(
        self, kind: Event.Kind, at: float, details: dict[str, Any], actor_id: int | None = None
    ) -> None:
        self.events.append((self.id, kind.value, at, actor_id, json.dumps(details)))

    def row(self) -> Row:
        text = self.text
        return (
            *(self.id, self.application_id, self.api_key_id, text.channel, text.lane, text.policy),
            *(self.to.address, self.content, self.template_version_id, self.variable_names),
            *(self.reference, self.metadata, self.tags, self.request_id, self.batch_id),
            *(self.status, self.reason, self.reason_detail, self.feedback, self.sender_id),
            *(self.only_sender_id, self.created_at, self.due_at, self.expires_at),
            *(self.finished_at, None, self.lease_token, self.claims, self.tries),
            self.unknown_resends,
        )


class Archive:
    """Where finished lives go. Written a slice at a time."""

    SLICE = 5_000

    def __init__(self) -> None:
        self.batches = Table(
            Batch,
            (
                *("id", "application", "api_key", "channel", "accepted", "rejected"),
                *("deduplicated", "request_id", "created_at", "cancelled_at"),
            ),
        )
        self.messages = Table(
            Message,
            (
                *("id", "application", "api_key", "channel", "lane", "policy", "recipient"),
                *("content", "template_version", "variable_names", "reference", "metadata"),
                *("tags", "request_id", "batch", "status", "reason", "reason_detail", "feedback"),
                *("sender", "only_sender", "created_at", "due_at", "expires_at", "finished_at"),
                *("leased_until", "lease_token", "claims", "tries", "unknown_resends"),
            ),
        )
        self.attempts = Table(
            Attempt,
            (
                *("id", "message", "sender", "lease_token", "started_at", "finished_at"),
                *("unknown_at", "outcome", "kind", "phase", "provider_code", "provider_words"),
                *("provider_message_id", "refused", "decision", "worker"),
            ),
        )
        self.events = Table(Event, ("message", "kind", "at", "actor", "details"))
        self.others = Table(OtherRecipient, ("message", "role", "address"))
        self.news = Table(
            FeedbackEvent,
            ("message", "sender", "kind", "recipient", "at", "words", "key", "created_at"),
        )
        self.suppressions = Table(
            Suppression,
            (
                *("channel", "address", "application", "reason", "note", "source"),
                *("created_at", "expires_at"),
            ),
        )
        self.deliveries = Table(
            WebhookDelivery,
            (
                *("id", "endpoint", "event_id", "event", "message_id", "payload", "state"),
                *("due_at", "leased_until", "lease_token", "tries", "last_code", "last_words"),
                *("history", "created_at", "finished_at"),
            ),
        )
        self._store = Store(
            [
                *(self.batches, self.messages, self.attempts, self.events, self.others),
                *(self.news, self.suppressions, self.deliveries),
            ]
        )
        self.count = 0

    def keep(self, life: Life) -> None:
        self.messages.rows.append(life.row())
        self.attempts.rows += life.attempts
        self.events.rows += life.events
        self.others.rows += life.others
        self.news.rows += life.news
        self.count += 1
        if self.count % self.SLICE == 0:
            self.write()

    def write(self) -> None:
        self._store.write()
