"""Between a request and `recipients`: who is calling, and how the request names its recipients."""

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.authentication import Caller
from accounts.models import ApiKey
from core.errors import DomainError
from messaging.recipients import Fence, as_given


def fence_of(caller: Caller) -> Fence:
    return Fence(allowed=caller.allowed_recipients, is_test=caller.kind == ApiKey.Kind.TEST)


@contextmanager
def pointers_as_given(body: object) -> Iterator[None]:
    """Refusals point to `/to` and not to `/to/0` where `body` has an address and no list."""
    try:
        yield
    except DomainError as error:
        raise DomainError(error.code, error.detail, errors=as_given(error.errors, body)) from error
