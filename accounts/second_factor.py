"""The second step of a login: set up, asked for, taken away."""

import base64
import secrets
from urllib.parse import quote, urlencode

import django_otp
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from accounts.audit import Actor
from accounts.models import Action, SecondFactor, User, hash_backup_code

BACKUP_CODES = 10
# Without letters and digits that are taken for one another: 31 ** 10 is 49 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def is_required() -> bool:
    return bool(settings.TWO_FACTOR == "required")


def factor_of(user: User) -> SecondFactor | None:
    """The confirmed one."""
    found: SecondFactor | None = SecondFactor.objects.filter(user=user, confirmed=True).first()
    return found


def is_asked_of(user: User) -> bool:
    """Whether the password alone opens nothing."""
    return is_required() or factor_of(user) is not None


def begin(user: User) -> SecondFactor:
    """What is shown to be scanned; the same until it is confirmed."""
    SecondFactor.objects.get_or_create(
        user=user, defaults={"key": secrets.token_hex(20), "confirmed": False}
    )
    # As it is stored: the key is sealed.
    factor: SecondFactor = SecondFactor.objects.get(user=user)
    return factor


def secret_of(factor: SecondFactor) -> str:
    """To be typed where nothing can be scanned."""
    return base64.b32encode(bytes.fromhex(factor.key.open())).decode()


def address_of(factor: SecondFactor, *, issuer: str) -> str:
    """What the QR code says (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    label = quote(f"{issuer}:{factor.user.get_username()}")
    return f"otpauth://totp/{label}?" + urlencode(
        {"secret": secret_of(factor), "issuer": issuer}, quote_via=quote
    )


def confirm(factor: SecondFactor, code: str, *, by: Actor) -> list[str]:
    """The backup codes, this once; none if the code is wrong."""
    with transaction.atomic():
        if not takes(factor, code):
            return []
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(BACKUP_CODES)]
        SecondFactor.objects.filter(pk=factor.pk).update(
            confirmed=True, backup_hashes=[hash_backup_code(code) for code in codes]
        )
        audit.record(by=by, action=Action.SECOND_FACTOR_SET_UP, obj=factor.user)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def takes(factor: SecondFactor, code: str) -> bool:
    """Each code once. After a wrong one the next is not looked at for a while, which doubles."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return django_otp.verify_token(factor.user, factor.persistent_id, plain) is not None


def mark_session(request: HttpRequest, factor: SecondFactor) -> None:
    """From here on this session is its user's."""
    request.session.cycle_key()
    django_otp.login(request, factor)


def remove(user: User, *, by: Actor) -> bool:
    """False if there was none."""
    with transaction.atomic():
        gone, _ = SecondFactor.objects.filter(user=user).delete()
        if gone:
            audit.record(by=by, action=Action.SECOND_FACTOR_REMOVED, obj=user)
    return bool(gone)
