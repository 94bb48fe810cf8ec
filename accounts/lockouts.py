"""After too many failures a username is locked out, for the address that they came from."""

from datetime import datetime

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from accounts.audit import Actor
from accounts.models import Action, User
from accounts.networks import client_address
from accounts.token_guard import network_of


def address_of(request: HttpRequest) -> str | None:
    """For axes: found as everywhere here. Of IPv6 the /64, since who has one address has all."""
    address = client_address(request.META)
    return network_of(address).partition("/")[0] if address is not None else None


def ends_at(username: str, address: str | None) -> datetime | None:
    """When the oldest failures are forgotten that lock it out; None if it is not."""
    failures, end = 0, None
    rows = AccessAttempt.objects.filter(username=username, ip_address=address)
    # One row for each browser: the newest first, until they are enough.
    for row in rows.order_by("-attempt_time"):
        failures += row.failures_since_start
        if failures >= settings.AXES_FAILURE_LIMIT:
            end = row.attempt_time + settings.AXES_COOLOFF_TIME
            break
    return end


def lift(username: str, *, by: Actor) -> bool:
    """Forget the failures of a username, from everywhere. False if there were none."""
    with transaction.atomic():
        if not reset(username=username):
            return False
        user = User.objects.filter(username=username).first()
        if user is not None:
            audit.record(by=by, action=Action.LET_IN, obj=user)
    return True
