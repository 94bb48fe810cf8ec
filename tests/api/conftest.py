from collections.abc import Iterator

import pytest

from tests.api.server import ApiServer, has_postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """gunicorn on PostgreSQL, once: the run on SQLite has nothing like it."""
    if not has_postgres():
        pytest.skip("needs PostgreSQL; `make test` finds it")
    with ApiServer(folder=tmp_path_factory.mktemp("api")) as running:
        yield running
