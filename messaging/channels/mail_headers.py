"""Headers that a caller may add to a mail: which, and how they are written.

Names come from this list and not from the caller alone: a name decides who reads the value, and one
with a line break in it writes a header of its own.
"""

import re

from messaging.channels.mime_words import encoded_words, unbroken

# Read by programs, which know no encoded words in them: ASCII, and written as they are.
LISTED = (
    *("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "List-Help"),
    *("Precedence", "Auto-Submitted", "Importance", "X-Priority"),
    *("In-Reply-To", "References", "Feedback-ID"),
)
_LISTED = {name.lower(): name for name in LISTED}
# With a value of 900 characters a line of less than 998, which no mail server has to take more of.
_OWN = re.compile(r"[Xx]-[A-Za-z0-9][A-Za-z0-9-]{0,57}")
# What stands behind "X-", alone or before a dash, in names that mean something to us, to a provider
# (in its API, over SMTP, or set by Anymail) or to the mail servers on the way.
_TAKEN = frozenset(
    {
        *("notification", "attempt", "request-id", "message-id", "mailer"),
        *("metadata", "tag", "tags", "auth-token", "api-key", "server-api-key"),
        *("alidm", "amazon", "amz", "aws", "ses", "brevo", "mailin", "sendinblue", "sib"),
        *("elasticemail", "mailersend", "mailgun", "mailjet", "mj", "mailtrap", "mandrill", "mc"),
        *("postal", "postmark", "pm", "resend", "scaleway", "scw", "tem"),
        *("sendgrid", "sg", "smtpapi", "twilio", "sparkpost", "msys", "unione", "unisender"),
        *("authenticated", "authentication", "envelope", "forwarded", "original", "originating"),
        *("rcpt", "received", "sender", "spam", "virus"),
        *("gm", "google", "microsoft", "ms"),
    }
)
_PRINTABLE = re.compile(r"[ -~]*")


def spelled(name: str) -> str | None:
    """`name` in its usual spelling; None if it is neither listed nor of the form `X-…`."""
    return _LISTED.get(name.lower()) or (name if _OWN.fullmatch(name) else None)


def is_taken(name: str) -> bool:
    """Whether a name `X-…` belongs to somebody else."""
    words = name.lower().split("-")[1:]
    beginnings = {"-".join(words[:count]) for count in range(1, len(words) + 1)}
    return name.lower() not in _LISTED and not _TAKEN.isdisjoint(beginnings)


def is_plain(value: str) -> bool:
    """Whether it can be the value of a listed header."""
    return bool(_PRINTABLE.fullmatch(value))


def words_of(name: str, value: str) -> list[str]:
    """What is written behind `name`, to be put together with single spaces.

    Raises `ValueError` for a name that callers may not give, and for a value that would not stay
    in its header."""
    unbroken(value)
    listed = name.lower() in _LISTED
    if not listed and not _OWN.fullmatch(name):
        raise ValueError("a header that may not be given")
    if listed:
        if not is_plain(value):
            raise ValueError("a header that must be ASCII")
        # Space is as good as more of it here.
        return value.split()
    words = value.split(" ")
    # Not encoded for their length: whoever reads such a header may know no encoded words.
    if is_plain(value) and all(words) and "=?" not in value:
        return words
    return encoded_words(value)
