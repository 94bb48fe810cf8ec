"""Signs calls to Alibaba Cloud's APIs with ACS3-HMAC-SHA256, version 3 of its signatures
(help.aliyun.com/document_detail/315526.html)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
# For how long a provider takes a signature, before and after its own clock.
VALID_SECONDS = 15 * 60
DATE = "%Y-%m-%dT%H:%M:%SZ"


def encoded_query(params: Mapping[str, str]) -> str:
    """Sorted and percent-encoded as RFC 3986 says: what is signed, and what is sent."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in params.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signature(
    secret: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    signed: Sequence[str],
    payload_hash: str,
) -> str:
    """In hex. `query` as `encoded_query` writes it, `headers` by names in lower case, and `signed`
    the sorted names of those that are signed."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in signed)
    canonical = "\n".join([method, path, query, lines, ";".join(signed), payload_hash])
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def signed_headers(
    key_id: str, secret: str, *, host: str, path: str, query: str, action: str, version: str
) -> dict[str, str]:
    """Of a POST with an empty body, made now: each call has a date and a nonce of its own."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": datetime.now(UTC).strftime(DATE),
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-version": version,
    }
    signed = sorted(headers)
    made = signature(
        secret,
        method="POST",
        path=path,
        query=query,
        headers=headers,
        signed=signed,
        payload_hash=headers["x-acs-content-sha256"],
    )
    credential = f"Credential={key_id},SignedHeaders={';'.join(signed)},Signature={made}"
    return {**headers, "Authorization": f"{ALGORITHM} {credential}"}
