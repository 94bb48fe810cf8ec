"""A unique address, number, code, secret, password and token go through everything at DEBUG level,
and are then searched for where nobody may find them."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from tests.flows.canaries import Canaries, RefusingCatcher, everything_in_redis
from tests.flows.conftest import SERVICES
from tests.flows.production import Production
from tests.installation import until

# Rows that are the messages themselves. Everything else is history, settings or bookkeeping.
OF_MESSAGES = re.compile(
    "messaging_(message|otherrecipient|batch|idempot.*|duplicate.*|dedupe.*|suppression.*)$"
)


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def toured(
    tmp_path_factory: pytest.TempPathFactory, canaries: Canaries
) -> Iterator[tuple[Production, "Seen"]]:
    """An installation through which the canaries went, and what was seen on the way."""
    missing = [name for name in SERVICES if not os.environ.get(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}; `make test` finds them")
    urls = {name.removeprefix("TEST_").lower(): os.environ[name] for name in SERVICES}
    running = Canaried(folder=tmp_path_factory.mktemp("canary"), canaries=canaries, **urls)
    with running as production:
        seen = tour(production, canaries)
        # Hints expire in seconds and go by the default exchange: the line to the broker sees all.
        streams = (production.broker_proxy.heard or {}).values()
        seen.queued = [bytes(stream).decode(errors="replace") for stream in streams]
        seen.redis = everything_in_redis(production.environment["REDIS_URL"], production.database)
        yield production, seen


class Canaried(Production):
    """As in production, at DEBUG level, with a password that is a canary."""

    def __init__(self, *, canaries: Canaries, **options: object) -> None:
        self.canaries = canaries
        super().__init__(**options)  # type: ignore[arg-type]
        self.broker_proxy.heard = {}
        self.environment |= {"LOG_LEVEL": "DEBUG", "ALLOWED_HOSTS": "127.0.0.1"}

    def make_mail(self) -> RefusingCatcher:
        return RefusingCatcher(username="mailer", password=self.canaries.password)

    def manage(self, *arguments: str, given: str = "", patience: float = 60) -> str:
        # The sender of `Production` has the password `right`.
        given = given.replace("right", self.canaries.password)
        return super().manage(*arguments, given=given, patience=patience)


class Seen:
    """Answers by what they are of; each is text."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.lists: dict[str, str] = {}
        self.printed: list[str] = []
        self.queued: list[str] = []
        self.redis = ""


def tour(production: Production, canaries: Canaries) -> Seen:
    seen = Seen()
    base = f"http://{production.bind}"
    canaries.api_secret, canaries.token = production.api_secret, production.token()
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {canaries.token}"
    letter = {
        "to": [f"Ann <{canaries.local}@example.com>"],
        "subject": f"Your code is {canaries.code}",
        "content": f"<p>{canaries.code}, not {canaries.number}</p>",
        "metadata": {"phone": canaries.number},
    }
    send = f"{base}/api/v1/messages/email/send"

    sent = [api.post(send, json=letter, headers={"Idempotency-Key": f"k-{production.database}"})]
    sent.append(api.post(send, json=letter | {"priority": "high", "text": canaries.code}))
    sent.append(api.post(send, json=letter | {"to": f"{canaries.refused}@example.com"}))
    sent.append(api.post(send, json=letter | {"to": f"later.{canaries.local}@example.com"}))
    sent.append(api.post(send, json=letter | {"dry_run": True}))
    production.manage("import_templates", "--publish")
    variables = {"code": canaries.code, "product": "Shop", "phone": canaries.number}
    by_template = {"to": f"{canaries.local}@example.com", "template_code": "verification-code"}
    sent.append(api.post(send, json=by_template | {"variables": variables, "subject": "x"}))
    sent.append(api.post(send, json=by_template | {"variables": variables}))
    assert [answer.ok for answer in sent].count(False) <= 2, [a.text for a in sent]

    _err(production, canaries, api, seen, letter)
    until(lambda: _is_idle(production), seconds=60, what="sent, refused or waiting")
    _break_the_database(production, api, seen, letter)
    _look_at_pages(production, canaries, seen)
    seen.printed += [
        production.manage("list_api_keys"),
        production.manage("test_sender", "flow-1"),
        production.manage("resend_messages", "--since", "2h", "--dry-run"),
    ]
    return seen


def _is_idle(production: Production) -> bool:
    """Every message was tried once at least."""
    sql = (
        "SELECT 1 FROM messaging_message WHERE NOT EXISTS (SELECT 1 FROM messaging_attempt "
        "WHERE message_id = messaging_message.id AND outcome <> '')"
    )
    return not production.query(sql)


def _err(production, canaries, api, seen, letter) -> None:
    """Requests of callers who do it wrong."""
    base = f"http://{production.bind}/api/v1"
    address = f"{canaries.local}@example.com"
    key = {"api_key": production.api_key, "api_secret": canaries.wrong_secret}
    answers = [
        requests.post(f"{base}/auth/token", json=key, timeout=10),
        requests.post(f"{base}/auth/token", json=key | {"x": canaries.code}, timeout=10),
        requests.get(f"{base}/messages", headers={"Authorization": f"Bearer {canaries.token}x"}),
        api.post(f"{base}/messages/email/send", json=letter | {"to": f"{address}\r\nBcc: x"}),
        api.post(f"{base}/messages/email/send", json=letter | {"priority": canaries.code}),
        api.post(f"{base}/messages/email/send", data=f'{{"to": "{address}", {canaries.code}'),
        api.post(f"{base}/messages/email/send", json=letter | {"expires_at": canaries.number}),
        api.get(f"{base}/messages", params={"recipient": address, "x": canaries.code}),
        api.get(f"{base}/messages", params={"recipient": address, "status": canaries.number}),
        # Paths are logged, with addresses masked.
        api.get(f"{base}/messages/{address}"),
        requests.get(f"http://{production.bind}/{address}", timeout=10),
    ]
    assert all(400 <= answer.status_code < 500 for answer in answers)
    seen.errors += [answer.text for answer in answers]


def _break_the_database(production, api, seen, letter) -> None:
    """A fault of ours, with the row in the database's own words."""
    url = f"http://{production.bind}/api/v1/messages/email/send"
    production.execute(
        "ALTER TABLE messaging_message ADD CONSTRAINT canary CHECK (recipient NOT LIKE 'canary%') "
        "NOT VALID"
    )
    try:
        answer = api.post(url, json=letter | {"dedupe_key": "broken"})
    finally:
        production.execute("ALTER TABLE messaging_message DROP CONSTRAINT canary")
    assert answer.status_code == 500
    seen.errors.append(answer.text)


def _look_at_pages(production, canaries, seen) -> None:
    make = (
        "from accounts.models import User; "
        "User.objects.create_superuser(username='canary', password='canary-operator')"
    )
    production.manage("shell", "-c", make)
    base = f"http://{production.bind}/admin"
    browser = requests.Session()
    login = browser.get(f"{base}/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', login.text)[1]  # type: ignore[index]
    fields = {"username": "canary", "password": "canary-operator", "csrfmiddlewaretoken": token}
    entered = browser.post(f"{base}/login/", data=fields, headers={"Referer": base})
    assert entered.status_code == 200
    assert "csrfmiddlewaretoken" in entered.text
    pages = {
        "home": "/",
        "messages": "/messaging/message/",
        "search": f"/messaging/message/?q={canaries.local}@example.com",
        "senders": "/messaging/sender/",
        "keys": "/accounts/apikey/",
        "applications": "/accounts/application/",
        "templates": "/templates_app/template/",
    }
    for name, path in pages.items():
        answer = browser.get(f"{base}{path}")
        assert answer.status_code == 200, path
        seen.lists[name] = answer.text
    for model, table in (("sender", "messaging_sender"), ("apikey", "accounts_apikey")):
        app = table.partition("_")[0]
        ((pk,),) = production.query(f"SELECT id FROM {table} ORDER BY id LIMIT 1")
        seen.lists[model] = browser.get(f"{base}/{app}/{model}/{pk}/change/").text
    with suppress(requests.RequestException):
        browser.get(f"{base}/messaging/message/{canaries.local}@example.com/change/")


def test_no_process_logs_any_of_it(toured, canaries):
    production, _ = toured

    for name in ("web", "worker", "beat"):
        log = production.log(name)
        words = canaries.contents | canaries.secrets
        assert '"level": "debug"' in log or name == "beat", f"{name} does not log at DEBUG level"
        lines = [line[:1500] for line in log.splitlines() if canaries.seen_in(line, words)]
        assert not lines, f"{name}: {lines[:3]}"


def test_nothing_that_goes_to_the_broker_holds_any_of_it(toured, canaries):
    _, seen = toured

    words = canaries.contents | canaries.secrets
    assert any("messaging.drain" in message for message in seen.queued)
    assert not [message for message in seen.queued if canaries.seen_in(message, words)]


def test_redis_holds_none_of_it_and_no_results(toured, canaries):
    _, seen = toured

    assert not canaries.seen_in(seen.redis, canaries.contents | canaries.secrets)
    assert "celery-task-meta" not in seen.redis


def test_the_database_holds_contents_in_the_messages_only_and_secrets_nowhere(toured, canaries):
    production, _ = toured
    tables = [
        name
        for (name,) in production.query("SELECT tablename FROM pg_tables WHERE schemaname='public'")
    ]

    assert "messaging_message" in tables
    for table in tables:
        words = canaries.secrets
        if not OF_MESSAGES.match(table):
            words = words | canaries.contents
        rows = [str(row) for row in production.query(f'SELECT to_jsonb(t)::text FROM "{table}" t')]
        found = [row[:1000] for row in rows if canaries.seen_in(row, words)]
        assert not found, f"{table}: {found[:3]}"


def test_answers_that_refuse_repeat_none_of_it(toured, canaries):
    """A field's wrong value is named by its pointer; only unknown names of the caller's own come
    back, to the caller."""
    _, seen = toured

    words = canaries.secrets | {
        name: word for name, word in canaries.contents.items() if name in {"local", "refused"}
    }
    assert not [text for text in seen.errors if canaries.seen_in(text, words)]


def test_pages_show_no_secret_and_lists_no_contents_but_subjects(toured, canaries):
    """Lists of messages show recipient and subject: that is what operators look for."""
    _, seen = toured

    for name, page in seen.lists.items():
        words = canaries.secrets
        if name not in {"messages", "search", "home"}:
            words = words | canaries.contents
        assert not canaries.seen_in(page, words), name
    assert not canaries.seen_in(seen.lists["messages"], {"number": canaries.number})


def test_commands_print_none_of_it(toured, canaries):
    _, seen = toured

    words = canaries.secrets | canaries.contents
    assert not [text for text in seen.printed if canaries.seen_in(text, words)]
