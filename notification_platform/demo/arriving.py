"""What is asked for: messages with their texts, recipients and fates."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from random import Random
from typing import Any

from core.ids import uuid7_at
from messaging.intake import LIFETIME
from notification_platform.demo.cast import Cast, Published
from notification_platform.demo.contents import Contents
from notification_platform.demo.life import Archive, Life
from notification_platform.demo.words import TEXTS, Text

# What comes of hand-overs, one after the other, and how often in a thousand. `taken` ends it, as do
# refusals for good; what an adapter does not know is a yes.
PLANS: dict[str, tuple[tuple[list[str], float], ...]] = {
    "email": (
        (["taken"], 936),
        (["later", "taken"], 20),
        (["later", "later", "taken"], 6),
        (["gone"], 12),
        (["blocked"], 5),
        (["rejected"], 3),
        (["full"] * 4 + ["taken"], 1),
        (["full"] * 60, 0.25),
        (["silent", "taken"], 0.5),
        (["lost", "taken"], 0.3),
        (["lost_open", "taken"], 0.15),
    ),
    "sms": (
        (["taken"], 965),
        (["later", "taken"], 12),
        (["gone"], 5),
        (["blocked"], 4),
        (["rejected"], 2),
        (["silent", "taken"], 1),
    ),
    "wechat": ((["taken"], 978), (["later", "taken"], 9), (["gone"], 8), (["rejected"], 2)),
    "wechat_official": ((["taken"], 950), (["gone"], 30), (["blocked"], 14)),
    "chat": ((["taken"], 990), (["rejected"], 3)),
}
# In a thousand of all messages.
FATES = (("cancelled", 4), ("suppressed", 2), ("rescheduled", 1), ("repeated", 4))
TESTS, SCHEDULED = 6, 20
# Of mails.
COPIED = 40
BATCH = 1000


class Arriving:
    def __init__(self, *, cast: Cast, contents: Contents, archive: Archive, rng: Random) -> None:
        self.cast = cast
        self.contents = contents
        self.archive = archive
        self.rng = rng
        self.campaigns = [text for text in TEXTS if text.app == "crm"]
        self._weights = [text.weight for text in TEXTS]
        self._plans = {
            channel: ([plan for plan, _ in plans], [often for _, often in plans])
            for channel, plans in PLANS.items()
        }
        self._since = {
            code: [version.since.timestamp() for version in versions]
            for code, versions in cast.versions.items()
        }
        self._tags = {text.code: json.dumps(list(text.tags)) for text in TEXTS}

    def new_id(self, at: float) -> str:
        return uuid7_at(at, self.rng.getrandbits(62)).hex

    def texts(self, count: int) -> list[Text]:
        """What is sent, in the mixture of all days."""
        return self.rng.choices(TEXTS, self._weights, k=count)

    def one(self, text: Text, at: float, **given: Any) -> Life:
        """A message that comes alone, with the fate that chance gives it."""
        rng = self.rng
        plans, often = self._plans[text.channel]
        (plan,) = rng.choices(plans, often)
        dice = rng.random() * 1000
        if dice < TESTS:
            return self.made(text, at, ["taken"], is_test=not text.place, **given)
        dice -= TESTS
        if dice < SCHEDULED:
            given["due_at"] = at + rng.uniform(900, 2.5 * 86_400)
        dice -= SCHEDULED
        for fate, often_so in FATES:
            if 0 <= dice < often_so:
                return self.made(text, at, list(plan), fate=fate, **given)
            dice -= often_so
        is_last = text.channel == "email" and (plan == ["gone"] or rng.random() < 0.008)
        return self.made(text, at, list(plan), is_last=is_last, **given)

    def campaign(self, text: Text, moments: list[float]) -> Iterator[Life]:
        """Batches of a thousand, each one request."""
        application = self.cast.applications[text.app]
        for first in range(0, len(moments), BATCH):
            items = moments[first : first + BATCH]
            batch_id, request_id = self.new_id(items[0]), str(uuid7_at(items[0], 1))
            rejected, repeated = self.rng.randrange(4), self.rng.randrange(3)
            self.archive.batches.rows.append(
                (
                    *(batch_id, application.pk, self.cast.live_keys[text.app].pk, text.channel),
                    *(len(items), rejected, repeated, request_id, items[0], None),
                )
            )
            for number in range(len(items)):
                life = self.one(text, items[0] + number * 1e-5)
                life.batch_id, life.request_id = batch_id, request_id
                life.reference = f"{text.code}-{batch_id[:6]}"
                yield life

    def _version(self, code: str, at: float) -> Published:
        place = bisect_right(self._since[code], at) - 1
        return self.cast.versions[code][max(place, 0)]

    def made(
        self,
        text: Text,
        at: float,
        plan: list[str],
        *,
        due_at: float | None = None,
        is_last: bool = False,
        is_test: bool = False,
        fate: str = "",
        wants: str = "",
    ) -> Life:
        """A message with a given fate."""
        rng, contents = self.rng, self.contents
        if fate == "suppressed":
            # Of other channels nobody unsubscribes here.
            fate, is_last = (fate, True) if text.channel == "email" else ("", is_last)
        if fate in ("cancelled", "suppressed", "rescheduled") and due_at is None:
            due_at = at + rng.uniform(900, 30_000)
        version = self._version(text.code, at)
        to = contents.recipient(text.channel, place=text.place, is_new=is_last)
        keys = self.cast.test_keys if is_test else self.cast.live_keys
        number = rng.randrange(10_000, 99_999)
        life = Life(
            id=self.new_id(at),
            application_id=self.cast.applications[text.app].pk,
            api_key_id=keys[text.app].pk,
            text=text,
            to=to,
            content=contents.content(version, to),
            created_at=at,
            due_at=due_at or at,
            expires_at=(due_at or at) + (text.lifetime or LIFETIME.total_seconds()),
            template_version_id=version.version.pk,
            variable_names=contents.of(version).names,
            reference=f"{text.app}-{number}" if rng.random() < 0.6 else "",
            metadata=f'{{"customer": {number}}}' if rng.random() < 0.3 else "{}",
            tags=self._tags[text.code],
            request_id=str(uuid7_at(at, rng.getrandbits(62))),
            plan=plan,
            is_last=is_last,
            fate=fate,
            wants=wants,
        )
        if text.place:
            life.only_sender_id = self.cast.senders[text.place].pk
        elif is_test:
            life.only_sender_id = self.cast.simulators[text.channel].pk
        elif text.channel == "email" and not is_last and rng.random() * 1000 < COPIED:
            self._copy(life)
        return life

    def _copy(self, life: Life) -> None:
        """A second recipient, in copy."""
        other = self.contents.recipient("email")
        if other.address == life.to.address:
            return
        life.others.append((life.id, "cc", other.address))
        stored = json.loads(life.content) | {"cc": [[other.name, other.address]]}
        life.content = json.dumps(stored)
