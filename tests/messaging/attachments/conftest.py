from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messaging import delivery
from tests.factories import make_sender
from tests.imitations.smtp import SmtpServer


@pytest.fixture(autouse=True)
def _same_mail_again(settings: Any) -> None:
    """The files are what these tests are about; the mail around them may be the same."""
    settings.DEDUPE_SECONDS = 0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where attachments lie in this test."""
    path = tmp_path / "attachments"
    entry = {
        "BACKEND": "messaging.attachment_files.AttachmentFolder",
        "OPTIONS": {"location": str(path)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": entry}
    settings.UPLOAD_TEMP_DIR = str(path)
    return path


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def sender(db: None, server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Who sends by `server`. With a large file that takes its time: a drain would leave the answer
    to a thread, which does not see the rows of a test."""
    monkeypatch.setattr(delivery, "PATIENCE", 60.0)
    return make_sender(
        adapter="smtp", options={"host": "127.0.0.1", "port": server.port, "security": "none"}
    )
