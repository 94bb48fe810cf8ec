"""Signs what is posted to a webhook as each provider does."""

import base64
import hashlib
import hmac
import json
import os
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SECRETS: dict[str, str] = {
    "brevo": "provider:right-password",
    "mailersend": "right-secret-000",
    "mailgun": "right-secret-000",
    "mailjet": "provider:right-password",
    "mailtrap": "right-secret-000",
    "mandrill": "right-secret-000",
    "postmark": "provider:right-password",
    "resend": "whsec_" + base64.b64encode(b"right-secret-of-resend-00").decode(),
    "sparkpost": "provider:right-password",
    "unisender_go": "right-secret-000",
}


@dataclass(slots=True)
class Post:
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@cache
def postal_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def secret_of(backend: str) -> str:
    """What an operator enters as `webhook_secret`."""
    if backend != "postal":
        return SECRETS[backend]
    public = postal_key().public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "".join(pem.decode().splitlines()[1:-1])


def _key(backend: str, is_forged: bool) -> str:
    return "wrong" + SECRETS[backend] if is_forged else SECRETS[backend]


def by_password(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    password = base64.b64encode(_key(backend, is_forged).encode()).decode()
    return _json(said, Authorization=f"Basic {password}")


def _by_body(header: str) -> Any:
    def sign(backend: str, said: Any, url: str, is_forged: bool) -> Post:
        post = _json(said)
        key = _key(backend, is_forged).encode()
        post.headers[header] = hmac.new(key, post.body, hashlib.sha256).hexdigest()
        return post

    return sign


def _by_mailgun(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    # New with every post, also of the same event.
    stamp, token = str(int(time.time())), os.urandom(25).hex()
    key = _key(backend, is_forged).encode()
    signature = hmac.new(key, f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return _json(
        {"signature": {"timestamp": stamp, "token": token, "signature": signature}, **said}
    )


def _by_mandrill(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    events = json.dumps(said)
    signed = f"{url}mandrill_events{events}".encode()
    key = _key(backend, is_forged).encode()
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha1).digest()).decode()
    return Post(
        urlencode({"mandrill_events": events}).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Mandrill-Signature": signature,
        },
    )


def _by_postal(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    post = _json(said)
    key = postal_key()
    if is_forged:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature = key.sign(post.body, padding.PKCS1v15(), hashes.SHA1())
    post.headers["X-Postal-Signature"] = base64.b64encode(signature).decode()
    return post


def _by_resend(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    post = _json(said)
    stamp = str(int(time.time()))
    key = b"wrong" if is_forged else base64.b64decode(SECRETS["resend"].removeprefix("whsec_"))
    event = f"msg_{said['type']}"
    signed = f"{event}.{stamp}.".encode() + post.body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    post.headers |= {
        "svix-id": event,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,{base64.b64encode(b'older').decode()} v1,{signature}",
    }
    return post


def _by_unisender(backend: str, said: Any, url: str, is_forged: bool) -> Post:
    """The place of the signature holds the key while it is made."""
    key = _key(backend, is_forged)
    unsigned = json.dumps(said).encode()
    signature = hashlib.md5(unsigned.replace(b"0" * 32, key.encode())).hexdigest()
    body = unsigned.replace(b"0" * 32, signature.encode())
    return Post(body, {"Content-Type": "application/json"})


SIGNERS = {
    "mailersend": _by_body("Signature"),
    "mailgun": _by_mailgun,
    "mailtrap": _by_body("Mailtrap-Signature"),
    "mandrill": _by_mandrill,
    "postal": _by_postal,
    "resend": _by_resend,
    "unisender_go": _by_unisender,
}


def _json(said: Any, **headers: str) -> Post:
    return Post(json.dumps(said).encode(), {"Content-Type": "application/json", **headers})
