from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import make_sender
from tests.imitations.smtp import SmtpServer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where attachments lie in this test."""
    path = tmp_path / "attachments"
    entry = {
        "BACKEND": "messaging.attachment_files.AttachmentFolder",
        "OPTIONS": {"location": str(path)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": entry}
    settings.FILE_UPLOAD_TEMP_DIR = str(path)
    return path


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def sender(db: None, server: SmtpServer) -> Any:
    """Who sends by `server`."""
    return make_sender(
        adapter="smtp", options={"host": "127.0.0.1", "port": server.port, "security": "none"}
    )
