"""One file in a multipart body (RFC 7578), read piece by piece: its size is bounded, its SHA-256 is
made on the way, and a body that breaks off is told from one that is whole."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core.errors import Code, FieldError
from core.problems import ProblemError, escape_pointer

log = structlog.get_logger(__name__)

FIELD = "file"
MISSING = "Send the file in this field, with a filename."
IN_CHUNKS = "Send the file with a Content-Length: a body in chunks is cut off after 1 MiB."
AS_TEXT = "It was sent as text: its part of the body needs a filename."
# What stands around the file: boundaries and the headers of its part.
AROUND = 65_536
# Smaller files never touch a disk before they are stored.
IN_MEMORY = 262_144
# The end of the body, in which its last boundary stands.
TAIL = 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came. `file` is open, stands at its beginning, and is gone once it is closed."""

    filename: str
    size: int
    sha256: str
    file: IO[bytes]


def upload_of(request: Request) -> Upload:
    """The file of a request that `UploadParser` reads. Raises what that raises."""
    found: object = request.data
    if isinstance(found, Upload):
        return found
    # REST framework asks no parser when there is no length.
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise ProblemError(Code.MALFORMED_UPLOAD, IN_CHUNKS)
    raise _refused("required", MISSING)


class UploadParser(BaseParser):
    """Reads `multipart/form-data` with exactly one file, in the field `file`: an `Upload`.

    Raises `ProblemError`: 413 for size, 422 naming the field, 400 for what is no multipart body.
    """

    media_type = "multipart/form-data"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        meta = (parser_context or {})["request"].META
        limit = settings.ATTACHMENT_MAX_BYTES
        length = _length(meta)
        if length > limit + AROUND:
            # Take in some of it, or the client gets a reset instead of our answer.
            for _ in range(256):
                if not stream.read(65_536):
                    break
            raise _too_large(limit)
        watched: Any = _Watched(stream)
        handler = _Handler(limit)
        try:
            parser = _Parser(meta, watched, [handler])
            posted, files = parser.parse()
            _check_whole(meta, watched, parser.last_boundary, length)
            return _only_file(posted, files, handler, limit)
        except RequestDataTooBig as error:
            handler.drop()
            raise _refused("invalid", AS_TEXT) from error
        except (MultiPartParserError, SuspiciousOperation) as error:
            handler.drop()
            raise ProblemError(
                Code.MALFORMED_UPLOAD, f"The body is no usable multipart/form-data: {error}"
            ) from error
        except OSError as error:
            handler.drop()
            if watched.is_broken:
                words = "The connection broke while the file was being read."
                raise ProblemError(Code.MALFORMED_UPLOAD, words) from error
            log.exception("upload_not_kept")
            raise ProblemError(Code.SERVICE_UNAVAILABLE) from error
        except BaseException:
            handler.drop()
            raise


class _Watched:
    """Counts what is read, and knows its end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.count = 0
        self.tail = b""
        self.is_broken = False

    def read(self, size: int | None = None) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except OSError:
            self.is_broken = True
            raise
        self.count += len(data)
        self.tail = (self.tail + data[-TAIL:])[-TAIL:]
        return data


class _Parser(MultiPartParser):
    def sanitize_file_name(self, file_name: str) -> str:
        """Django makes a clean name of a bad one without a word; we refuse bad ones by name."""
        return file_name

    @property
    def last_boundary(self) -> bytes:
        boundary: bytes = self._boundary  # type: ignore[attr-defined]
        return b"--" + boundary + b"--"


class _Handler(FileUploadHandler):
    """Keeps the first file, and of all others only that there were some."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._digest = hashlib.sha256()
        self._kept: IO[bytes] | None = None
        self._names: list[str] = []
        self.size = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._names.append(self.file_name or "")
        if self._kept is None:
            folder = settings.UPLOAD_TEMP_DIR
            if folder is not None:
                Path(folder).mkdir(mode=0o750, parents=True, exist_ok=True)
            # It has no name on the disk: whatever happens to this process, nothing of it stays.
            self._kept = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if len(self._names) > 1:
            return
        self.size += len(raw_data)
        if self.size <= self._limit and self._kept is not None:
            self._digest.update(raw_data)
            self._kept.write(raw_data)

    def file_complete(self, file_size: int) -> Any:
        # The parser passes it on as it is; only its field's name is looked at.
        return self

    def close(self) -> None:
        """What the parser does with its files when something breaks."""

    def finished(self) -> Upload:
        assert self._kept is not None
        self._kept.seek(0)
        return Upload(self._names[0], self.size, self._digest.hexdigest(), self._kept)

    def drop(self) -> None:
        if self._kept is not None:
            self._kept.close()


def _length(meta: Mapping[str, Any]) -> int:
    try:
        return int(meta.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _check_whole(
    meta: Mapping[str, Any], watched: _Watched, last_boundary: bytes, length: int
) -> None:
    """Django takes what is there for the whole; the boundary with two dashes says that it is."""
    if watched.count < length or (length and last_boundary not in watched.tail):
        words = "The body ends before the file does: its last boundary is missing. Send it again."
        if meta.get("HTTP_TRANSFER_ENCODING"):
            # The server's door cut it off, see `notification_platform.wsgi`.
            words = IN_CHUNKS
        raise ProblemError(
            Code.MALFORMED_UPLOAD, words, errors=(FieldError(f"/{FIELD}", "incomplete", words),)
        )


def _only_file(posted: Any, files: Any, handler: _Handler, limit: int) -> Upload:
    errors = [
        FieldError(
            f"/{escape_pointer(name)}",
            "unknown_field",
            f"There is no such field. The file goes into the field {FIELD!r}.",
        )
        for name in dict.fromkeys((*posted, *files))
        if name != FIELD
    ]
    sent = len(files.getlist(FIELD))
    if FIELD in posted:
        errors.append(FieldError(f"/{FIELD}", "invalid", AS_TEXT))
    elif not sent:
        errors.append(FieldError(f"/{FIELD}", "required", MISSING))
    elif sent > 1:
        words = f"It holds {sent} files. Send one a call."
        errors.append(FieldError(f"/{FIELD}", "too_many", words))
    if errors:
        handler.drop()
        raise ProblemError(Code.INVALID_REQUEST, errors=tuple(errors))
    if handler.size > limit:
        handler.drop()
        raise _too_large(limit)
    if not handler.size:
        handler.drop()
        raise _refused("empty", "The file is empty.")
    return handler.finished()


def _refused(code: str, words: str) -> ProblemError:
    return ProblemError(Code.INVALID_REQUEST, errors=(FieldError(f"/{FIELD}", code, words),))


def _too_large(limit: int) -> ProblemError:
    words = f"The file is larger than {limit / 1_048_576:g} MiB."
    return ProblemError(
        Code.PAYLOAD_TOO_LARGE, words, errors=(FieldError(f"/{FIELD}", "too_large", words),)
    )
