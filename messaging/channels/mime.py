"""An e-mail as bytes."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from messaging.channels.base import EmailContent, Outbound

# Quoted-printable or base64 everywhere: no relay has to speak 8BITMIME, and no line is too long.
POLICY = SMTP.clone(cte_type="7bit", max_line_length=78)


def serialize(outbound: Outbound, *, from_name: str, from_address: str, date: datetime) -> bytes:
    """RFC 5322 with CRLF line ends. Bcc is in the envelope only."""
    content = outbound.content
    message = EmailMessage(policy=POLICY)
    message["From"] = _address(from_name, from_address)
    for header, people in (("To", content.to), ("Cc", content.cc), ("Reply-To", content.reply_to)):
        if people:
            message[header] = [_address(name, address) for name, address in people]
    message["Subject"] = content.subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = outbound.message_id
    message["X-Notification-Attempt"] = outbound.attempt_id
    message["Auto-Submitted"] = "auto-generated"
    _set_bodies(message, content)
    return message.as_bytes()


def _address(name: str, address: str) -> Address:
    return Address(display_name=name, addr_spec=address)


def _set_bodies(message: EmailMessage, content: EmailContent) -> None:
    if content.text:
        message.set_content(content.text)
    if content.html and content.text:
        message.add_alternative(content.html, subtype="html")
    elif content.html:
        message.set_content(content.html, subtype="html")
