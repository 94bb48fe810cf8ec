"""What is answered to requests that never reach Django, because the web server cannot read them."""

import json
import socket

from core.errors import MEANINGS, Code
from core.ids import uuid7

CODES = {414: Code.URL_TOO_LONG, 431: Code.HEADERS_TOO_LARGE, 500: Code.INTERNAL_ERROR}


def write_problem(client: socket.socket, status: int, reason: str, words: str) -> str:
    """Instead of gunicorn's page of HTML, which repeats what was sent: a problem like all others.
    Returns its request id, which nobody else knows."""
    code = CODES.get(status, Code.BAD_REQUEST)
    status = status if code in CODES.values() else 400
    request_id = str(uuid7())
    body = json.dumps(
        {
            "type": "about:blank",
            "title": code.value.replace("_", " ").capitalize(),
            "status": status,
            "code": code.value,
            "detail": MEANINGS[code],
            "request_id": request_id,
            "errors": [],
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status} {reason if status != 400 else 'Bad Request'}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    client.settimeout(1)
    client.sendall(head.encode("latin1") + body)
    return request_id
