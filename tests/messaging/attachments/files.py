"""Files as callers upload them, and how they do it."""

import hashlib
import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from core.uploads import Upload
from messaging import attachments
from messaging.models import Attachment
from tests.factories import make_api_key

URL = "/api/v1/attachments"
SEND = "/api/v1/messages/email/send"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\r\n\x00\xff.\r\n.\r\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(50)
EXE = b"MZ\x90\x00" + bytes(200)
CALENDAR = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"
MAIL = {"to": "ann@example.com", "subject": "Your invoice", "content": "<p>See there.</p>"}


def zipped(*names: str, **contents: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, b"<xml/>")
        for name, data in contents.items():
            archive.writestr(name, data)
    return held.getvalue()


def document(folder: str, *further: str) -> bytes:
    return zipped("[Content_Types].xml", "_rels/.rels", f"{folder}/main.xml", *further)


def open_document(kind: str) -> bytes:
    return zipped(mimetype=f"application/vnd.oasis.opendocument.{kind}".encode(), content=b"<x/>")


def upload(api: Any, name: str, data: bytes, *, field: str = "file", **others: Any) -> Any:
    """The answer to one file by the API, as a library for HTTP sends it."""
    return api.post(URL, {field: named_file(name, data), **others}, format="multipart")


def named_file(name: str, data: bytes) -> SimpleUploadedFile:
    file = SimpleUploadedFile("placeholder", data)
    # Past Django's own cleaning of names.
    file._name = name  # type: ignore[attr-defined]
    return file


def body(*parts: tuple[str, bytes], end: bytes = b"--limit--\r\n") -> bytes:
    """A multipart body by hand: the words of each part's disposition, and what it holds."""
    whole = b"".join(
        b"--limit\r\nContent-Disposition: form-data; "
        + words.encode()
        + b"\r\n\r\n"
        + data
        + b"\r\n"
        for words, data in parts
    )
    return whole + end


def post(api: Any, raw: bytes, **headers: Any) -> Any:
    content_type = "multipart/form-data; boundary=limit"
    return api.post(URL, raw, content_type=content_type, **headers)


def keep(
    name: str = "invoice.pdf", data: bytes = PDF, *, now: datetime | None = None, key: Any = None
) -> Attachment:
    """An attachment as the use case makes it."""
    key = key or make_api_key()
    file = Upload(name, len(data), hashlib.sha256(data).hexdigest(), io.BytesIO(data))
    return attachments.keep(
        upload=file,
        application_id=key.application_id,
        api_key_id=key.pk,
        now=now or timezone.now(),
    )


def stored(folder: Path) -> list[str]:
    """Names of what lies there, without what says that it is the storage."""
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and file.parent != folder
    )


def problems(response: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]
