"""The errors that callers see. Every code is public API and stands in `docs/errors.md`."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Codes of whole problems; `TITLES` and `MEANINGS` below say them to people."""

    INVALID_REQUEST = "invalid_request"
    MALFORMED_JSON = "malformed_json"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_ACCEPTABLE = "not_acceptable"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    AUTHENTICATION_REQUIRED = "authentication_required"
    INVALID_TOKEN = "invalid_token"  # noqa: S105
    INVALID_CREDENTIALS = "invalid_credentials"
    FORBIDDEN = "forbidden"
    MISSING_SCOPE = "missing_scope"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    CONFIRMATION_REQUIRED = "confirmation_required"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use"
    RATE_LIMITED = "rate_limited"
    SERVICE_UNAVAILABLE = "service_unavailable"
    INTERNAL_ERROR = "internal_error"


STATUS: dict[Code, int] = {
    Code.INVALID_REQUEST: 422,
    Code.MALFORMED_JSON: 400,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.NOT_ACCEPTABLE: 406,
    Code.PAYLOAD_TOO_LARGE: 413,
    Code.AUTHENTICATION_REQUIRED: 401,
    Code.INVALID_TOKEN: 401,
    Code.INVALID_CREDENTIALS: 401,
    Code.FORBIDDEN: 403,
    Code.MISSING_SCOPE: 403,
    Code.NETWORK_NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.CONFIRMATION_REQUIRED: 409,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.IDEMPOTENCY_KEY_IN_USE: 409,
    Code.RATE_LIMITED: 429,
    Code.SERVICE_UNAVAILABLE: 503,
    Code.INTERNAL_ERROR: 500,
}

MEANINGS: dict[Code, str] = {
    Code.INVALID_REQUEST: "A field is missing, unknown or wrong; `errors` names each one.",
    Code.MALFORMED_JSON: "The body is no JSON that can be processed; nothing was read from it.",
    Code.UNSUPPORTED_MEDIA_TYPE: "The body is not sent as `application/json`.",
    Code.NOT_ACCEPTABLE: "The `Accept` header rules out JSON.",
    Code.PAYLOAD_TOO_LARGE: "The body is larger than 1 MiB.",
    Code.AUTHENTICATION_REQUIRED: "No `Authorization: Bearer …` header was sent.",
    Code.INVALID_TOKEN: "The token is expired, damaged, or its key was revoked: get a new one.",
    Code.INVALID_CREDENTIALS: "Unknown key, wrong secret, or a key that is not valid any more.",
    Code.FORBIDDEN: "The key may not do this.",
    Code.MISSING_SCOPE: "The key lacks the scope that `detail` names.",
    Code.NETWORK_NOT_ALLOWED: "The key is limited to networks that this address is not in.",
    Code.NOT_FOUND: "There is no such thing, or it belongs to another application.",
    Code.METHOD_NOT_ALLOWED: "This path does not take that method.",
    Code.CONFLICT: "The object is in a state that does not allow this; `detail` says which.",
    Code.CONFIRMATION_REQUIRED: "This breaks others, as `errors` says; repeat with `confirm`.",
    Code.IDEMPOTENCY_KEY_REUSED: "The idempotency key was used for another request lately.",
    Code.IDEMPOTENCY_KEY_IN_USE: "A request with this key is being answered; repeat it soon.",
    Code.RATE_LIMITED: "Too many requests: wait for as many seconds as `Retry-After` says.",
    Code.SERVICE_UNAVAILABLE: "The platform cannot answer now; the request may be repeated.",
    Code.INTERNAL_ERROR: "A fault of ours; quote the `request_id` to the operators.",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. `pointer` is a JSON pointer (RFC 6901) into the body, or
    `?name` for a query parameter."""

    pointer: str
    code: str
    detail: str


class DomainError(Exception):
    """A refusal with a public code. Doors translate it: the API into a problem, commands into a
    line, the admin into a message."""

    def __init__(self, code: Code, detail: str, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
