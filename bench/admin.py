"""Every page of the admin over many messages, asked through gunicorn as an operator asks."""

import http.client
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import psycopg

from bench.report import Bound
from bench.stage import BenchError, Stage
from bench.web import HEADERS, Web, serve

# What a page may take on the server.
AT_MOST_MS = 1000.0
WARM_UP = 1
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    milliseconds: float
    statements: int
    of_database: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A page with its answers, without those that warmed it up."""

    page: object
    of: str
    kind: str
    answers: Sequence[Answer]

    @property
    def ms(self) -> float:
        return median(answer.milliseconds for answer in self.answers)

    @property
    def most_ms(self) -> float:
        return max(answer.milliseconds for answer in self.answers)

    @property
    def of_database(self) -> float:
        return median(answer.of_database for answer in self.answers)

    @property
    def statements(self) -> int:
        return self.answers[-1].statements

    @property
    def statuses(self) -> set[int]:
        return {answer.status for answer in self.answers}

    @property
    def is_page(self) -> bool:
        """Not what nobody may do here (403), nor what is only posted to (405)."""
        return not self.statuses & {403, 405}

    @property
    def failed(self) -> str:
        """Pages show something or lead on."""
        wrong = self.statuses - {200, 302}
        return f"answered with {', '.join(map(str, sorted(wrong)))}" if wrong else ""


def measure(stage: Stage, *, rows: int, rounds: int) -> list[Bound]:
    print(f"Making {rows:,} messages …", flush=True)
    command = (sys.executable, "manage.py", "generate_demo_data", "--messages", str(rows))
    print(stage.run(command).splitlines()[-1], flush=True)
    # A database that is in use has been vacuumed; and plans depend on it.
    with psycopg.connect(stage.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    cookie, searches = _log_in()
    from bench.admin_pages import all_pages

    pages = all_pages(searches=searches)
    asked = []
    with ExitStack() as stack:
        web = serve(
            stage,
            stack,
            name="admin",
            wsgi="bench.admin_wsgi",
            settings="notification_platform.settings",
        )
        for page in pages:
            answers = [_ask(web, page.path, cookie) for _ in range(WARM_UP + rounds)]
            one = Asked(page, page.of, page.kind, answers[WARM_UP:])
            if one.is_page:
                asked.append(one)
    print(_table(asked), flush=True)
    return _bounds(asked)


def _log_in() -> tuple[str, list[str]]:
    """The cookie of a session, and what people look for: a recipient, an id, a reference."""
    from django.conf import settings
    from django.test import Client

    from accounts.models import User
    from messaging.models import Message

    client = Client()
    client.force_login(User.objects.create_superuser("bench", password=None))
    newest = Message.objects.order_by("-pk")
    message = newest.filter(status="success").exclude(reference="").first()
    if message is None:
        raise BenchError("There is no message to look for.")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    texts = [message.recipient, str(message.pk), message.reference, "nobody@example.com"]
    return f"{cookie.key}={cookie.value}", texts


def _ask(web: Web, path: str, cookie: str) -> Answer:
    from bench.admin_wsgi import OF_DATABASE, SECONDS, STATEMENTS

    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=120)
    headers = {"Host": HEADERS["Host"], "Cookie": cookie, "Accept": "text/html"}
    headers |= {name: HEADERS[name] for name in HEADERS if name.startswith("X-Forwarded")}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    except OSError as error:
        raise BenchError(f"{path} was not answered: {error}") from error
    finally:
        connection.close()

    def told(name: str) -> float:
        return float(answer.headers.get(name) or 0)

    return Answer(
        answer.status, told(SECONDS) * 1000, int(told(STATEMENTS)), told(OF_DATABASE) * 1000
    )


def _table(asked: Sequence[Asked]) -> str:
    """For each model the slowest page of each kind; then those that are to be mended."""
    slowest: dict[tuple[str, str], Asked] = {}
    for one in asked:
        key = (one.of, one.kind)
        if key not in slowest or one.ms > slowest[key].ms:
            slowest[key] = one
    lines = [f"{'page':<60} {'median':>7} {'max':>7} {'of it SQL':>9} {'statements':>10}"]
    for (of, kind), one in sorted(slowest.items()):
        name = f"{of} {kind}".strip()
        lines.append(
            f"{name[:60]:<60} {one.ms:7.0f} {one.most_ms:7.0f} {one.of_database:9.0f} "
            f"{one.statements:10}"
        )
    lines += ["", "The slowest:"]
    ranked = sorted(asked, key=lambda one: -one.ms)
    lines += [f"{one.ms:7.0f} ms {one.page}" for one in ranked[:SHOWN]]
    return "\n".join(lines)


def _bounds(asked: Sequence[Asked]) -> list[Bound]:
    for one in asked:
        if one.failed:
            print(f"BROKEN: {one.page} {one.failed}", flush=True)
        elif one.most_ms > AT_MOST_MS:
            print(f"SLOW: {one.page} took {one.most_ms:.0f} ms", flush=True)
    if broken := [one for one in asked if one.failed]:
        raise BenchError(f"{len(broken)} of {len(asked)} pages of the admin are broken, see above.")
    ranked = sorted(asked, key=lambda one: one.ms)
    slowest, most = ranked[-1], max(one.most_ms for one in asked)
    return [
        Bound(f"admin: median of {len(asked)} pages", ranked[len(ranked) // 2].ms, "ms"),
        Bound("admin: slowest page", slowest.ms, "ms", AT_MOST_MS, str(slowest.page)),
        Bound("admin: slowest answer of all", most, "ms", AT_MOST_MS),
    ]
