import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.channels import Channels
from tests.flows.production import Production

HERE = Path(__file__).parent
SERVICES = ("TEST_POSTGRES_URL", "TEST_RABBITMQ_URL", "TEST_REDIS_URL")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Flows start processes: one worker of xdist, which looks at the marks next, runs them all."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("flows"))
            if os.environ.get("SKIP_FLOWS") == "1":
                item.add_marker(pytest.mark.skip(reason="flows run once, with PostgreSQL"))


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """gunicorn, a Celery worker and beat as processes, on PostgreSQL, RabbitMQ and Redis."""
    with Production(folder=tmp_path_factory.mktemp("production"), **services()) as running:
        yield running


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channels]:
    """The same for SMS, WeChat and chats, against imitations of their providers."""
    with Channels(folder=tmp_path_factory.mktemp("channels"), **services()) as running:
        yield running


def services() -> dict[str, str]:
    """Their URLs. Skips the test where one is missing."""
    missing = [name for name in SERVICES if not os.environ.get(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}; `make test` finds them")
    return {name.removeprefix("TEST_").lower(): os.environ[name] for name in SERVICES}
