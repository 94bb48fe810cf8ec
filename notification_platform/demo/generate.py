"""The whole demonstration: who, what happens, and what is left of it."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from core.masking import mask_addresses
from messaging import outbox, suppressions
from messaging.models import Sender, SenderWindow, WebhookEndpoint
from notification_platform.demo import cast as casting
from notification_platform.demo.arriving import FATES, PLANS, Arriving
from notification_platform.demo.calendar import Arrivals, arrivals
from notification_platform.demo.cast import Cast
from notification_platform.demo.contents import Contents
from notification_platform.demo.life import Archive, Life
from notification_platform.demo.listeners import Listeners
from notification_platform.demo.platform import Platform
from notification_platform.demo.pool import Meter, Outage, Player, Pool
from notification_platform.demo.providers import REFUSALS
from notification_platform.demo.words import TEXTS, Text

# With fewer, what everybody wants to see would be all there is.
LEAST = 500
DAY = 86_400.0
FOR_EVER = float("inf")
# The sender with the tight quota has its day in the zone whose day is nearly over, and about this
# part of it is used.
ZONES = (
    "Pacific/Auckland",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Honolulu",
)
NEARLY = 0.95
# Of those who are ill now: the sender, since how many seconds, until how many seconds ago, and how
# often somebody notices.
ILL_NOW = (
    ("demo-mail-3", 570.0, 290.0, 20.0),
    ("demo-esp-2", 2400.0, -FOR_EVER, 40.0),
    ("demo-on-call", 9000.0, -FOR_EVER, 400.0),
)
INCIDENT = ("demo-mail-1", "demo-mail-2", "demo-sms-1")
INCIDENT_SECONDS = 7200.0
SWITCHED_OFF_DAYS_AGO = 12
SAY_EVERY = 20_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    messages: int
    days: int
    seed: int
    language: str
    now: datetime
    # Whether nothing may be left that a worker could send.
    leaves_nothing: bool = False

    @property
    def since(self) -> datetime:
        return self.now - timedelta(days=self.days)


def generate(order: Order, say: Say) -> None:
    """Fill the database. The cast is made first, in one transaction; then the messages, a slice in
    each."""
    rng = Random(order.seed)  # noqa: S311
    say("Making applications, templates and senders …")
    with transaction.atomic():
        cast = casting.make(language=order.language, since=order.since, now=order.now)
        casting.follow_local_senders()
    archive = Archive()
    contents = Contents(language=order.language, messages=order.messages, rng=rng)
    arriving = Arriving(cast=cast, contents=contents, archive=archive, rng=rng)
    streams = _streams(order, arriving, rng)
    platform = _platform(order, cast, archive, arriving, rng)
    _limit(platform, cast, streams, order)
    started = timezone.now()
    for number, life in enumerate(streams.lives(arriving), 1):
        platform.accept(life)
        if number % SAY_EVERY == 0:
            seconds = (timezone.now() - started).total_seconds()
            say(f"{number:,} of {order.messages:,} messages, {seconds:.0f} s")
    platform.finish(leaves_nothing=order.leaves_nothing)
    with transaction.atomic():
        _write_health(platform, order.now)
        _write_windows(platform)
        for pk, at in platform.listeners.last_success.items():
            moment = datetime.fromtimestamp(at, UTC)
            WebhookEndpoint.objects.filter(pk=pk).update(last_success_at=moment)
        _switch_off(cast.endpoints[1], order.now)
    outbox.forget()
    suppressions.forget_emptiness()
    say("Gathering the database's statistics …")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


# --- what is asked for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Streams:
    usual: list[tuple[float, Text]]
    campaigns: list[list[float]]
    # Those that must be there, whatever chance says: `(moment, text, what else is given)`.
    certain: list[tuple[float, Text, dict[str, Any]]]

    def lives(self, arriving: Arriving) -> Iterator[Life]:
        """In the order in which they were accepted."""
        usual = (arriving.one(text, at) for at, text in self.usual)
        certain = (arriving.made(text, at, **given) for at, text, given in self.certain)
        campaigns = (
            arriving.campaign(arriving.campaigns[number % 2], moments)
            for number, moments in enumerate(self.campaigns)
        )
        return heapq.merge(usual, certain, *campaigns, key=lambda life: life.created_at)


def _streams(order: Order, arriving: Arriving, rng: Random) -> _Streams:
    certain = sorted(_certain(order, rng), key=lambda each: each[0])
    zone = timezone.get_default_timezone()
    left = order.messages - len(certain)
    found: Arrivals = arrivals(left, since=order.since, now=order.now, zone=zone, rng=rng)
    usual = list(zip(found.usual, arriving.texts(len(found.usual)), strict=True))
    return _Streams(usual, found.campaigns, certain)


def _certain(order: Order, rng: Random) -> Iterator[tuple[float, Text, dict[str, Any]]]:
    given: dict[str, Any]
    now = order.now.timestamp()
    text = {each.code: each for each in TEXTS}
    of_sender = {"demo-on-call": text["on-call"]}
    for name, since, _until, every in ILL_NOW:
        ago = since
        while ago > 3:
            given = {"plan": ["taken"], "wants": name}
            yield now - ago, of_sender.get(name, text["ticket-opened"]), given
            ago -= every
    some_days_ago = min(5.0, order.days / 1.2) * DAY
    for fate, _ in FATES:
        for _ in range(2):
            given = {"plan": ["taken"], "fate": fate}
            yield now - rng.uniform(50_000, some_days_ago), text["invoice-ready"], given
    for plan, _ in PLANS["email"]:
        given = {"plan": list(plan), "wants": "demo-mail-1"}
        yield now - rng.uniform(50_000, some_days_ago), text["order-shipped"], given
    for _ in range(2):
        given = {"plan": ["silent"], "wants": "demo-mail-2"}
        yield now - rng.uniform(50_000, some_days_ago), text["password-reset"], given
    # What waits now: for its time, for another try, for an answer.
    for number in range(6):
        given = {"plan": ["taken"], "due_at": now + rng.uniform(3600, 2 * DAY)}
        yield now - rng.uniform(60, 7200), text["newsletter" if number % 2 else "survey"], given
        given = {"plan": ["later", "later", "taken"], "wants": "demo-mail-1"}
        yield now - rng.uniform(4, 14), text["ticket-solved"], given
    for number in range(4):
        # Of one sender three in a row would be too many.
        given = {"plan": ["silent"], "wants": f"demo-mail-{1 + number % 2}"}
        yield now - rng.uniform(4, 40), text["password-reset"], given


# --- who takes it --------------------------------------------------------------------------------


def _platform(
    order: Order, cast: Cast, archive: Archive, arriving: Arriving, rng: Random
) -> Platform:
    now = order.now.timestamp()
    groups: dict[int, Meter] = {}
    by_channel: dict[str, list[Player]] = {}
    for sender in [*cast.senders.values(), *cast.simulators.values()]:
        group = None
        if sender.group is not None:
            group = groups.setdefault(sender.group.pk, Meter(sender.group))
        reserved = frozenset(sender.applications.values_list("pk", flat=True))
        player = Player(sender, reserved, Meter(sender), group, rng)
        by_channel.setdefault(sender.channel, []).append(player)
        player.outages = list(_outages(sender, order))
        if sender.name == "demo-mail-old":
            player.off_at = now - SWITCHED_OFF_DAYS_AGO * DAY
    listeners = Listeners(cast.endpoints, until=now, new_id=arriving.new_id, rng=rng)
    operator = User.objects.filter(is_superuser=True).order_by("pk").first()
    return Platform(
        pools={channel: Pool(players, rng) for channel, players in by_channel.items()},
        archive=archive,
        listeners=listeners,
        new_id=arriving.new_id,
        operator_id=operator.pk if operator else None,
        now=now,
        rng=rng,
    )


def _outages(sender: Sender, order: Order) -> Iterator[Outage]:
    refusal = REFUSALS.get(sender.adapter, {}).get("down")
    if refusal is None:
        return
    now = order.now.timestamp()
    for name, since, until, _ in ILL_NOW:
        if name == sender.name:
            yield Outage(now - since, now - until, refusal)
    if sender.name in INCIDENT:
        day = timezone.localtime(order.now) - timedelta(days=2)
        begins = day.replace(hour=9, minute=30).timestamp()
        yield Outage(begins, begins + INCIDENT_SECONDS, refusal)


def _limit(platform: Platform, cast: Cast, streams: _Streams, order: Order) -> None:
    """Give one sender a quota that is nearly used up, in a day that is nearly over."""
    sender = cast.senders["demo-esp"]
    sender.time_zone = max(ZONES, key=lambda name: order.now.astimezone(ZoneInfo(name)).hour)
    begins = sender.window_start("day", order.now).timestamp()
    takes = {"crm", "shop"}
    today = sum(at >= begins for campaign in streams.campaigns for at in campaign)
    today += sum(
        at >= begins and text.channel == "email" and text.app in takes for at, text in streams.usual
    )
    sender.per_day = max(20, int(today / NEARLY))
    (player,) = (p for p in platform.pools["email"].players if p.sender == sender)
    player.meter = Meter(sender)
    sender.save(update_fields=["time_zone", "per_day"])


# --- what is left --------------------------------------------------------------------------------


def _write_health(platform: Platform, now: datetime) -> None:
    for player in _players(platform):
        sender = player.sender
        sender.failures, sender.benches = player.failures, player.benches
        sender.benched_until = _moment(player.benched_until)
        sender.recovered_at = _moment(player.recovered_at)
        if player.last_failure is not None:
            refusal, at = player.last_failure
            sender.last_failure_kind, sender.last_failure_at = refusal.kind, _moment(at)
            sender.last_failure_words = mask_addresses(f"{refusal.code} {refusal.words}".strip())
        sender.is_active = now.timestamp() < player.off_at
        sender.save(
            update_fields=[
                *("failures", "benches", "benched_until", "recovered_at", "is_active"),
                *("last_failure_kind", "last_failure_words", "last_failure_at"),
            ]
        )


def _write_windows(platform: Platform) -> None:
    meters = {id(player.meter): player.meter for player in _players(platform)}
    meters |= {id(p.group): p.group for p in _players(platform) if p.group is not None}
    SenderWindow.objects.bulk_create(
        SenderWindow(
            sender=meter.owner if isinstance(meter.owner, Sender) else None,
            group=None if isinstance(meter.owner, Sender) else meter.owner,
            window=window,
            started_at=datetime.fromtimestamp(begins, UTC),
            used=int(used),
        )
        for meter in meters.values()
        for window, (begins, used) in meter.windows.items()
    )


def _switch_off(endpoint: WebhookEndpoint, now: datetime) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        is_active=False,
        disabled_at=now,
        disabled_reason=WebhookEndpoint.DisabledReason.OPERATOR,
    )


def _players(platform: Platform) -> list[Player]:
    return [player for pool in platform.pools.values() for player in pool.players]


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
