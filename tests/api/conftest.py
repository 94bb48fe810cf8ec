from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.server import ApiServer, has_postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """gunicorn on PostgreSQL, once: the run on SQLite has nothing like it."""
    if not has_postgres():
        pytest.skip("needs PostgreSQL; `make test` finds it")
    with ApiServer(folder=tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(autouse=True)
def _attachments_of_one_test(tmp_path: Path, settings: Any) -> None:
    entry = settings.STORAGES["attachments"] | {"OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "attachments": entry}
    settings.UPLOAD_TEMP_DIR = str(tmp_path)
