import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from core import tallies
from core.tallies import in_redis
from tests.imitations.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _same_letter_again(settings: Any) -> None:
    """What is counted here is sent again and again; it is no duplicate."""
    settings.DEDUPE_SECONDS = 0


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(_redis_server: RedisServer, settings: Any) -> Iterator[RedisServer]:
    """A Redis of this process's own, empty, in which limits are counted. A test may stop it."""
    settings.REDIS_URL = _redis_server.url
    _redis_server.ask("FLUSHALL")
    yield _redis_server
    if _redis_server.process is None:
        _redis_server.start()
    _redis_server.thaw()
    in_redis.close_clients()
    tallies.forget()


@pytest.fixture(params=["redis", "process"])
def counted(request: pytest.FixtureRequest, settings: Any) -> str:
    """Everything once in Redis and once in this process."""
    if request.param == "redis":
        request.getfixturevalue("redis_server")
    else:
        settings.REDIS_URL = ""
    return str(request.param)
