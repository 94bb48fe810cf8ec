"""How a client proves who it is to an SMTP server (RFC 4954)."""

import hmac
from base64 import b64decode, b64encode

# The password is not readable on the wire only in the last.
METHODS = ("PLAIN", "LOGIN", "CRAM-MD5")
UNKNOWN_METHOD = 504


def methods_for(offered: str, *, is_encrypted: bool) -> list[str]:
    """Those of the `offered` that we know, in the order in which to try them."""
    words = offered.upper().split()
    order = METHODS if is_encrypted else METHODS[::-1]
    return [method for method in order if method in words]


def first_command(method: str, *, username: str, password: str) -> str:
    """Raises `ValueError` for what is not ASCII."""
    if method == "PLAIN":
        secret = f"\0{username}\0{password}"
        return f"AUTH PLAIN {_line(secret)}"
    if method == "LOGIN":
        return f"AUTH LOGIN {_line(username)}"
    return f"AUTH {method}"


def answer(method: str, challenge: bytes, *, username: str, password: str) -> str | None:
    """To the one challenge that follows the command; None where there should be none.

    Raises `ValueError` for a challenge that cannot be read.
    """
    if method == "LOGIN":
        return _line(password)
    if method == "CRAM-MD5":
        digest = hmac.new(password.encode("ascii"), b64decode(challenge), "md5").hexdigest()
        return _line(f"{username} {digest}")
    return None


def _line(secret: str) -> str:
    return b64encode(secret.encode("ascii")).decode()
