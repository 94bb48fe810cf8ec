"""Files that go with messages: kept when they are uploaded, found when a message is to go with
them, and tied to it in the transaction that accepts it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import ProtectedError

from core.crash import crash_at
from core.database import prepared_cursor
from core.errors import Code, DomainError, FieldError
from core.uploads import Upload
from messaging import attachment_files
from messaging.attachment_types import WrongFile, check_name, kind_of
from messaging.channels.content import StoredFile
from messaging.models import Attachment, MessageAttachment

log = structlog.get_logger(__name__)

# The clean-up looks so long after the end: a request that found a file just before has its row by
# then.
GRACE = timedelta(hours=1)
MIB = 1_048_576


@dataclass(frozen=True, slots=True)
class Asked:
    """An attachment as a send call names it. With a `content_id` it is shown inside the HTML."""

    id: UUID
    content_id: str = ""


def keep(*, upload: Upload, application_id: int, api_key_id: int, now: datetime) -> Attachment:
    """Check and store an uploaded file.

    Raises `DomainError`: for its name or type naming the field `file`, and `service_unavailable`
    when the storage does not take it."""
    try:
        check_name(upload.filename)
        kind = kind_of(upload.filename, upload.file, allowed=tuple(settings.ATTACHMENT_TYPES))
    except WrongFile as error:
        wrong = FieldError("/file", error.code, str(error))
        raise DomainError(Code.INVALID_REQUEST, str(error), errors=(wrong,)) from error
    try:
        stored_as = attachment_files.store(upload.file, now=now)
    except Exception as error:
        # Each storage has failures of its own.
        log.exception("attachment_not_stored", size=upload.size)
        words = "The file could not be stored now; it may be sent again."
        raise DomainError(Code.SERVICE_UNAVAILABLE, words) from error
    if __debug__:
        crash_at("attachment_before_row")
    expires_at = now + timedelta(hours=settings.ATTACHMENT_LIFETIME_HOURS)
    return Attachment.objects.create(
        application_id=application_id,
        api_key_id=api_key_id,
        filename=upload.filename,
        content_type=kind.content_type,
        size=upload.size,
        sha256=upload.sha256,
        stored_as=stored_as,
        expires_at=expires_at,
        look_at=expires_at + GRACE,
    )


def discard(attachment: Attachment) -> None:
    """Remove one that no message goes with. Raises `DomainError` (`conflict`) for one in use."""
    try:
        with transaction.atomic():
            # Holds up whoever is about to accept a message with it: then it is unknown.
            locked = Attachment.objects.select_for_update().filter(pk=attachment.pk).first()
            if locked is not None:
                locked.delete()
    except ProtectedError as error:
        words = f"Attachment {attachment.pk} goes with a message; it is removed after that."
        raise DomainError(Code.CONFLICT, words) from error
    # Without its row nobody finds it. If this fails, the search for lost files does it.
    try:
        attachment_files.remove(attachment.stored_as)
    except Exception:
        log.exception("attachment_file_left", attachment_id=str(attachment.pk))


def find(asked: Sequence[Asked], *, application_id: int, now: datetime) -> list[StoredFile]:
    """The files that a message is to go with, in their order; in the transaction that accepts it,
    which keeps them from being removed meanwhile.

    Raises `DomainError` that names all that are unknown, foreign or expired: one and the same."""
    return choose(asked, known(asked, application_id=application_id, now=now))


_KNOWN = """
    SELECT id, stored_as, filename, content_type, size, sha256 FROM messaging_attachment
    WHERE id = ANY(%s::uuid[]) AND application_id = %s AND expires_at > %s AND removed_at IS NULL
    FOR SHARE
"""


def known(
    asked: Iterable[Asked], *, application_id: int, now: datetime
) -> dict[UUID, tuple[Any, ...]]:
    """Those of them that may be sent, for one message or for many: one query."""
    ids = {one.id for one in asked}
    if connection.vendor == "postgresql":
        with prepared_cursor() as cursor:
            cursor.execute(_KNOWN, [list(ids), application_id, now])
            return {row[0]: row for row in cursor.fetchall()}
    rows = Attachment.objects.filter(
        pk__in=ids, application_id=application_id, expires_at__gt=now, removed_at=None
    ).values_list("pk", "stored_as", "filename", "content_type", "size", "sha256")
    return {row[0]: row for row in rows}


def choose(
    asked: Sequence[Asked], found: dict[UUID, tuple[Any, ...]], *, pointer: str = "/attachment_ids"
) -> list[StoredFile]:
    """Of what `known` gave, what one message is to go with. Raises `DomainError`."""
    errors = [
        FieldError(
            f"{pointer}/{index}",
            "unknown_attachment",
            f"There is no attachment {one.id}, or it has expired. Upload the file again.",
        )
        for index, one in enumerate(asked)
        if one.id not in found
    ]
    total = sum(found[one.id][4] for one in asked if one.id in found)
    limit = settings.MESSAGE_ATTACHMENTS_MAX_BYTES
    if total > limit:
        words = (
            f"They are {total / MIB:.1f} MiB together; a message takes at most {limit / MIB:g} MiB."
        )
        errors.append(FieldError(pointer, "too_large", words))
    if errors:
        raise DomainError(Code.INVALID_REQUEST, errors[0].detail, errors=tuple(errors))
    return [_stored_file(found[one.id], one.content_id) for one in asked]


def _stored_file(row: tuple[Any, ...], content_id: str) -> StoredFile:
    pk, stored_as, filename, content_type, size, sha256 = row
    return StoredFile(str(pk), stored_as, filename, content_type, size, sha256, content_id)


def attach(pairs: Iterable[tuple[UUID, Sequence[StoredFile]]]) -> None:
    """Tie files to the messages that were just inserted, in the same transaction."""
    MessageAttachment.objects.bulk_create(
        MessageAttachment(
            message_id=message_id,
            attachment_id=UUID(file.id),
            position=position,
            content_id=file.content_id,
        )
        for message_id, files in pairs
        for position, file in enumerate(files)
    )
