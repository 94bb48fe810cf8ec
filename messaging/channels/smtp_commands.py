"""Commands of `smtplib` that raise on a refusal, with the reply as a value instead."""

import smtplib
import ssl
from collections.abc import Callable
from typing import Any

# The password is not readable on the wire only in the last.
METHODS = ("PLAIN", "LOGIN", "CRAM-MD5")
UNKNOWN_METHOD = 504


def start_tls(server: smtplib.SMTP, context: ssl.SSLContext) -> tuple[int, bytes]:
    try:
        return server.starttls(context=context)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, _bytes(error.smtp_error)


def login_methods(server: smtplib.SMTP, *, is_encrypted: bool) -> list[str]:
    """Those that the server offers and we know, in the order in which to try them."""
    offered = server.esmtp_features.get("auth", "").upper().split()
    order = METHODS if is_encrypted else METHODS[::-1]
    return [method for method in order if method in offered]


def log_in(server: smtplib.SMTP, *, method: str, username: str, password: str) -> tuple[int, bytes]:
    """One try by one method: a server counts wrong passwords, and `smtplib.SMTP.login` offers them
    again by each method that it knows."""
    answers: dict[str, Callable[..., Any]] = {
        "PLAIN": server.auth_plain,
        "LOGIN": server.auth_login,
        "CRAM-MD5": server.auth_cram_md5,
    }
    server.user, server.password = username, password
    try:
        return server.auth(method, answers[method])
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code, _bytes(error.smtp_error)


def _bytes(reply: bytes | str) -> bytes:
    return reply.encode() if isinstance(reply, str) else reply
