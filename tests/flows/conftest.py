import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    missing = [name for name in SERVICES if not os.environ.get(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}; `make test` finds them")
    urls = {name.removeprefix("TEST_").lower(): os.environ[name] for name in SERVICES}
    with Production(folder=tmp_path_factory.mktemp("production"), **urls) as running:
        yield running
