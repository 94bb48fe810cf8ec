"""What a token must say beside its signature, issuer and audience, which the library checks."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

# Clocks of several web servers differ a little.
LEEWAY = 10
BIGGEST_ID = 2**63


def check_times(claims: dict[str, Any], *, now: datetime) -> None:
    """It runs now, was issued by now, and not for longer than the platform issues.

    Raises `ValueError`."""
    issued, ends = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(ends) is not int:
        raise ValueError("iat and exp must be whole numbers")
    moment = now.timestamp()
    lifetime = timedelta(minutes=settings.TOKEN_LIFETIME_MINUTES).total_seconds()
    if not issued <= moment + LEEWAY or not moment < ends <= issued + lifetime:
        raise ValueError("it is not valid at this time, or for too long")


def is_row_id(claim: object) -> bool:
    """A number that a row could have; True is none, though Python says that it is 1."""
    return type(claim) is int and 0 <= claim < BIGGEST_ID
