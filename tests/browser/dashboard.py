"""What the overview shows, and what the database says of it."""

import json
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

from playwright.sync_api import Locator, Page

from core.vocabulary import Channel
from messaging.channels.simulator import NAMES
from messaging.models import Reason
from tests.browser.console import Console

TOP = 8
# Messages of tests count nowhere; they are bound to a simulator.
REAL = """
FROM messaging_message AS m
LEFT JOIN messaging_sender AS bound ON bound.id = m.only_sender_id
JOIN accounts_application AS application ON application.id = m.application_id
LEFT JOIN templates_app_templateversion AS version ON version.id = m.template_version_id
LEFT JOIN templates_app_template AS template ON template.id = version.template_id
WHERE m.created_at >= %s AND (bound.adapter IS NULL OR NOT bound.adapter = ANY(%s))
"""
FAILED = "COUNT(*) FILTER (WHERE m.status = 'failed')"


def counted(console: Console, name: str, *, now: datetime) -> dict[str, Any]:
    """By SQL over the messages, for the last `24h` or `30d`."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    since, step = hour - timedelta(hours=23), "hour"
    if name == "30d":
        since, step = datetime.combine(now.date() - timedelta(days=29), time(), UTC), "day"

    def rows(columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        return console.query(f"SELECT {columns} {REAL} {rest}", since, sorted(NAMES))

    def shares(column: str) -> list[tuple[str, int, int]]:
        found = rows(f"{column}, COUNT(*), {FAILED}", "GROUP BY 1")
        return sorted(found, key=lambda row: (-row[1], row[0]))[:TOP]

    taken = "COUNT(*), COUNT(*) FILTER (WHERE m.status = 'success'), "
    tiles = dict(zip(("accepted", "handed_over", "failed"), rows(taken + FAILED)[0], strict=True))
    reasons = rows("m.reason, COUNT(*)", "AND m.status = 'failed' GROUP BY m.reason")
    reasons = sorted(reasons, key=lambda row: (-row[1], row[0]))[:TOP]
    series: dict[str, dict[datetime, int]] = {}
    bucket = f"date_trunc('{step}', m.created_at, 'UTC')"
    for status, at, count in rows(f"m.status, {bucket}, COUNT(*)", "GROUP BY 1, 2"):
        series.setdefault(status, {})[at] = count
    points = 24 if step == "hour" else 30
    moments = [since + place * timedelta(**{f"{step}s": 1}) for place in range(points)]
    return {
        "tiles": tiles,
        "series": {
            status: [counts.get(moment, 0) for moment in moments]
            for status, counts in series.items()
        },
        "channels": [(str(Channel(key).label), *more) for key, *more in shares("m.channel")],
        "applications": shares("application.name"),
        "templates": shares("COALESCE(template.code, 'without a template')"),
        "reasons": [(str(Reason(reason).label), count) for reason, count in reasons],
    }


def shown(page: Page, name: str) -> dict[str, Any]:
    """The same from the page."""
    page.goto(f"/admin/?range={name}")
    series = json.loads(page.locator("#dash-series-data").text_content() or "")
    reasons = page.locator("[data-part=reasons] ul").first.locator("li a")
    return {
        "tiles": {name: tile_count(page, name) for name in ("accepted", "handed_over", "failed")},
        "series": {
            dataset["status"]: dataset["values"]
            for dataset in series["datasets"]
            if any(dataset["values"])
        },
        **{
            part: [_share(row) for row in page.locator(f"[data-part={part}] tbody tr").all()]
            for part in ("channels", "applications", "templates")
        },
        "reasons": [
            (each.locator("span").inner_text(), _number(each.locator("b").inner_text()))
            for each in reasons.all()
        ],
    }


def tile_count(page: Page, name: str) -> int:
    return _number(page.locator(f"[data-tile={name}] strong").inner_text())


def list_count(page: Page) -> int:
    """How many the list says that there are."""
    words = page.get_by_text(re.compile(r"^\s*-?\s*[\d,]+\s+messages?\s*$")).last.inner_text()
    return _number(words)


def _share(row: Locator) -> tuple[str, int, int]:
    cells = row.locator("td")
    label = cells.nth(0).inner_text().strip()
    failed = cells.nth(2).inner_text().split()[0]
    return label, _number(cells.nth(1).inner_text()), _number(failed)


def _number(words: str) -> int:
    return int(re.sub(r"\D", "", words))
