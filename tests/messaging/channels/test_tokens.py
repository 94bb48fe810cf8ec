"""Access tokens: one fetch for everybody, one renewal, and nobody waits for the dead."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import cache

from messaging.channels import tokens
from messaging.channels.tokens import Fetched
from notification_platform.embedded.providers.wecom import WecomServer
from tests.imitations.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
PREPARE = """
import sys, time, tests.environment, os
os.environ["REDIS_URL"] = sys.argv[1]
import django
django.setup()
"""


@pytest.fixture(autouse=True)
def no_tokens():
    tokens.forget()
    yield
    tokens.forget()


@pytest.fixture(scope="module")
def _redis_server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(_redis_server: RedisServer, settings: Any) -> Iterator[RedisServer]:
    """Where the cache is, empty. A test may stop it."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": _redis_server.url,
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2},
        }
    }
    _redis_server.ask("FLUSHALL")
    yield _redis_server
    if _redis_server.process is None:
        _redis_server.start()
    _redis_server.thaw()


@pytest.fixture(params=["redis", "process"])
def cached(request: pytest.FixtureRequest) -> str:
    """Everything once in Redis and once in this process."""
    if request.param == "redis":
        request.getfixturevalue("redis_server")
    return str(request.param)


class Source:
    """Gives token-1, token-2, …"""

    def __init__(self, seconds: float = 7200, pause: float = 0) -> None:
        self.seconds = seconds
        self.pause = pause
        self.fetched = 0

    def __call__(self) -> Fetched:
        time.sleep(self.pause)
        self.fetched += 1
        return Fetched(f"token-{self.fetched}", self.seconds)


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE + program, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "notification_platform.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_it_is_fetched_once_and_then_known(cached):
    source = Source()

    got = [tokens.get("key", source) for _ in range(3)]
    tokens.forget()
    got.append(tokens.get("key", source))

    assert got == ["token-1"] * 4
    assert source.fetched == 1


def test_other_credentials_have_another_token(cached):
    source = Source()

    assert tokens.get("old-secret", source) != tokens.get("new-secret", source)


def test_one_that_was_refused_is_renewed_once_for_all_who_had_it(cached):
    source = Source()
    tokens.get("key", source)

    got = [tokens.get("key", source, stale="token-1") for _ in range(3)]

    assert got == ["token-2"] * 3


def test_threads_share_one_fetch_and_one_renewal(cached):
    source, got = Source(pause=0.05), []

    def take(stale):
        got.append(tokens.get("key", source, stale=stale))

    for stale in ("", "token-1"):
        threads = [threading.Thread(target=take, args=(stale,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert got == ["token-1"] * 12 + ["token-2"] * 12


@pytest.mark.parametrize(("seconds", "used"), [(7200, 6900), (400, 200), (300, 150)])
def test_it_is_used_until_five_minutes_before_its_end(cached, seconds, used, monkeypatch):
    source, now = Source(seconds), time.time()
    tokens.get("key", source)

    for later, fetched in ((used - 2, 1), (used + 2, 2)):
        monkeypatch.setattr(tokens.time, "time", lambda later=later: now + later)
        tokens.get("key", source)
        assert source.fetched == fetched


def test_a_fetch_that_fails_is_the_next_ones_to_try(cached):
    def fail():
        raise ValueError("no token")

    with pytest.raises(ValueError, match="no token"):
        tokens.get("key", fail)

    assert tokens.get("key", Source()) == "token-1"


def test_who_fetches_for_ever_holds_up_nobody_else(monkeypatch):
    monkeypatch.setattr(tokens, "LOCK_SECONDS", 0.1)
    begun, over = threading.Event(), threading.Event()

    def hang():
        begun.set()
        over.wait(20)
        return Fetched("late", 7200)

    hanging = threading.Thread(target=tokens.get, args=("key", hang))
    hanging.start()
    begun.wait(5)

    assert tokens.get("key", Source()) == "token-1"

    over.set()
    hanging.join()


def test_what_lies_in_redis_is_sealed(redis_server):
    tokens.get("key", Source())

    (name,) = redis_server.ask("KEYS", "*token:key*")
    with redis.Redis(port=redis_server.port) as client:
        assert b"token-1" not in client.get(name)
    assert 6890 <= redis_server.ask("TTL", name) <= 6900


@pytest.mark.parametrize("found", ["rubbish", ["no", "text"], {"value": 1}])
def test_what_cannot_be_read_is_fetched_anew(cached, found):
    cache.set("token:key", found)

    assert tokens.get("key", Source()) == "token-1"


# --- Redis is away -------------------------------------------------------------------------------


def test_without_redis_this_process_fetches_for_itself(redis_server, caplog):
    source = Source()
    redis_server.stop()

    got = [tokens.get("key", source) for _ in range(3)]
    got.append(tokens.get("key", source, stale="token-1"))

    assert got == ["token-1", "token-1", "token-1", "token-2"]
    assert "token-1" not in caplog.text


def test_a_redis_that_does_not_answer_costs_a_moment_and_no_message(redis_server):
    redis_server.freeze()
    began = time.monotonic()

    got = [tokens.get(f"key-{number}", Source()) for number in range(5)]

    assert got == ["token-1"] * 5
    assert time.monotonic() - began < 5


# --- processes -----------------------------------------------------------------------------------

CRASH = """
from messaging.channels import tokens
def fetch():
    print("fetching", flush=True)
    time.sleep(60)
tokens.get("key", fetch)
"""


def test_who_dies_while_fetching_holds_up_the_others_for_seconds_only(redis_server, settings):
    settings.CACHES["default"]["KEY_PREFIX"] = "notifications"
    settings.CACHES = {**settings.CACHES}
    victim = run(CRASH, redis_server.url)
    assert victim.stdout.readline() == "fetching\n"
    assert redis_server.ask("KEYS", "*:lock")
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    began = time.monotonic()

    assert tokens.get("key", Source()) == "token-1"

    assert time.monotonic() - began < tokens.LOCK_SECONDS + 2


SEND = """
from messaging.channels.base import Account, Outbound
from messaging.channels.content import TextContent
from messaging.channels.wecom_app import WecomApp
_, _, url, corp_id, agent_id, secret, number = sys.argv
options = {"corp_id": corp_id, "agent_id": int(agent_id), "api_url": url}
adapter = WecomApp(Account(1, "sender", options, {"secret": secret}, "", "", "digest"))
for turn in range(2):
    print("ready", flush=True)
    sys.stdin.readline()
    for index in range(20):
        content = TextContent([("", f"member-{number}")], text=f"{turn} {index}")
        adapter.send(Outbound("attempt", f"<{turn}.{index}.{number}@example.com>", content))
print("over", flush=True)
"""


def test_eight_processes_with_20_sends_each_fetch_one_token_and_renew_it_once(
    redis_server, monkeypatch
):
    monkeypatch.setattr("notification_platform.embedded.providers.wecom.MEMBER_A_MINUTE", 1_000_000)
    with WecomServer() as provider:
        provider.members = {f"member-{number}" for number in range(8)}
        app = provider.apps[0]
        known = (provider.url, provider.corp_id, str(app.agent_id), app.secret)
        workers = [run(SEND, redis_server.url, *known, str(number)) for number in range(8)]
        fetched = []
        for said in ("ready", "ready", "over"):
            assert [worker.stdout.readline() for worker in workers] == [f"{said}\n"] * 8
            fetched.append(provider.token_fetches)
            provider.invalidate_tokens()
            if said == "ready":
                for worker in workers:
                    worker.stdin.write("go\n")
                    worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=30)

    assert fetched == [0, 1, 2]
    assert len(provider.arrived) == 8 * 40
