"""When a company sends: days with a weekly rhythm, peaks in the morning and the evening, quiet
nights, and campaigns that go out within minutes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from random import Random

# From Monday on, and from midnight on.
OF_WEEKDAY = (1.0, 1.08, 1.1, 1.05, 0.95, 0.55, 0.5)
OF_HOUR = (
    *(0.10, 0.06, 0.04, 0.03, 0.04, 0.10, 0.30, 0.70, 1.30, 1.70, 1.55, 1.25),
    *(1.05, 1.00, 1.05, 1.10, 1.10, 1.15, 1.35, 1.60, 1.55, 1.15, 0.60, 0.25),
)
# Campaigns: so many days ago, and their share of all messages. Each goes out within some minutes.
CAMPAIGNS = ((0.25, 0.02), (3.3, 0.05), (10.3, 0.03), (17.3, 0.03))
CAMPAIGN_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Seconds since 1970, each list in order."""

    usual: list[float]
    # Of each campaign.
    campaigns: list[list[float]]


def arrivals(count: int, *, since: datetime, now: datetime, zone: tzinfo, rng: Random) -> Arrivals:
    """`count` moments between `since` and `now`, in the rhythm of `zone`."""
    campaigns = []
    for days_ago, share in CAMPAIGNS:
        begins = (now - timedelta(days=days_ago)).timestamp()
        if begins > since.timestamp():
            moments = (begins + rng.random() * CAMPAIGN_SECONDS for _ in range(int(count * share)))
            campaigns.append(sorted(moments))
    hours, weights = _hours(since, now, zone)
    left = count - sum(map(len, campaigns))
    end = now.timestamp()
    usual = sorted(
        begins + rng.random() * min(3600.0, end - begins)
        for begins in rng.choices(hours, weights, k=left)
    )
    return Arrivals(usual, campaigns)


def _hours(since: datetime, now: datetime, zone: tzinfo) -> tuple[list[float], list[float]]:
    """The hours, and how much is sent in each. A company grows: today a fifth more than then."""
    moment = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hours, weights = [], []
    while moment < now:
        local, age = moment.astimezone(zone), (now - moment) / (now - since)
        part = min(1.0, (now - moment) / timedelta(hours=1))
        hours.append(moment.timestamp())
        weights.append(OF_WEEKDAY[local.weekday()] * OF_HOUR[local.hour] * (1 - age / 5) * part)
        moment += timedelta(hours=1)
    return hours, weights
