"""The bytes of attachments, in the storage `attachments`: a local folder, or a bucket.

What lies there is named at random, under the day on which it came, and served to nobody.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

import structlog
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from messaging.channels.base import Attachment, PermanentFailure, TemporaryFailure
from messaging.channels.content import StoredFile

log = structlog.get_logger(__name__)

PHASE = "attachments"
# Lies in every storage in use. Where it is missing too, the storage is another one, or not there:
# a folder that this machine does not share, a volume that is not mounted.
MARKER = "notification-platform.txt"
MARK = (
    b"The attachments of messages. The platform removes them when they are not needed any more.\n"
)


def storage() -> Storage:
    return storages["attachments"]


class AttachmentFolder(FileSystemStorage):
    """A folder whose files are on the disk, and not only on their way there, before a message that
    needs them is accepted."""

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        # Others of our group may have to read it: web and worker need not be one user.
        Path(self.location).mkdir(mode=0o750, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o750, exist_ok=True)
        try:
            with open(path, "xb", opener=lambda p, flags: os.open(p, flags, 0o640)) as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            for folder in (path.parent, path.parent.parent):
                _sync(folder)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return name

    def url(self, name: str | None) -> str:
        raise ValueError("attachments have no address")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def store(file: IO[bytes], *, now: datetime) -> str:
    """Write it, and return the name under which it lies. Raises whatever the storage raises."""
    if not storage().exists(MARKER):
        storage().save(MARKER, ContentFile(MARK))
    file.seek(0)
    return storage().save(f"{now:%Y-%m-%d}/{secrets.token_hex(16)}", File(file))


def load(file: StoredFile) -> Attachment:
    """Its bytes, which are those that were accepted. Raises `PermanentFailure` when they are gone,
    and `TemporaryFailure` when nobody can tell."""
    try:
        with storage().open(file.stored_as) as stored:
            data = stored.read()
    except FileNotFoundError:
        if _is_there():
            words = f"The file of attachment {file.id} is not stored any more."
            raise PermanentFailure("attachment_gone", phase=PHASE, words=words) from None
        words = "This worker does not see the storage of attachments."
        raise TemporaryFailure("storage_away", phase=PHASE, words=words) from None
    except Exception as error:
        # Each storage has failures of its own.
        log.warning("attachment_not_read", attachment_id=file.id, error=str(error)[:200])
        raise TemporaryFailure("storage_away", phase=PHASE, words=type(error).__name__) from error
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        words = f"The file of attachment {file.id} is not the one that was uploaded."
        raise PermanentFailure("attachment_gone", phase=PHASE, words=words)
    return Attachment(file.filename, file.content_type, data, file.content_id)


def _is_there() -> bool:
    try:
        return storage().exists(MARKER)
    except Exception as error:
        log.warning("attachments_not_reached", error=str(error)[:200])
        return False


def remove(name: str) -> None:
    """One that is gone already is no error."""
    storage().delete(name)


def stored_before(day: date) -> Iterator[list[str]]:
    """Names of all files that came before `day`, in lists of up to 1,000."""
    try:
        folders, _ = storage().listdir("")
    except FileNotFoundError:
        # Nothing was ever uploaded.
        return
    for folder in sorted(folders):
        try:
            came = date.fromisoformat(folder)
        except ValueError:
            continue
        if came >= day:
            continue
        _, files = storage().listdir(folder)
        names = [f"{folder}/{name}" for name in sorted(files)]
        for start in range(0, len(names), 1000):
            yield names[start : start + 1000]


def remove_empty_folders(*, before: date) -> None:
    """Where there are folders at all: a bucket has none."""
    found = storage()
    if not isinstance(found, FileSystemStorage):
        return
    for folder in Path(found.location).glob("????-??-??"):
        if folder.name < before.isoformat() and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
