"""Files in the form in which Anymail passes them on to a provider byte for byte."""

from email.encoders import encode_base64
from email.mime.base import MIMEBase

from messaging.channels.base import Attachment
from messaging.channels.mime_parts import content_id, content_type
from messaging.channels.mime_words import unbroken


def as_mime(attachment: Attachment, *, is_shown: bool) -> MIMEBase:
    """Raises `ValueError` for what must not come near a header."""
    kind = content_type(attachment)
    # Anymail (15.2) reads every text as UTF-8 and writes it so again.
    if kind.lower().startswith("text/") and not _is_utf8(attachment.data):
        kind = "application/octet-stream"
    part = MIMEBase(*kind.split("/"))
    part.set_payload(attachment.data)
    encode_base64(part)
    is_inline = is_shown and bool(attachment.content_id)
    named = {"filename": unbroken(attachment.filename)} if attachment.filename else {}
    part.add_header("Content-Disposition", "inline" if is_inline else "attachment", **named)
    if attachment.content_id:
        part["Content-ID"] = content_id(attachment)
    return part


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
