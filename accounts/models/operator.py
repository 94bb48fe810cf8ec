"""Who works in the admin, and what they show beside their password."""

import hmac
import time

import structlog
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP

from accounts.models.access import validate_time_zone
from core.secrets import EncryptedJSONField, UnreadableSecret

log = structlog.get_logger(__name__)


class User(AbstractUser):
    """An operator of the admin. Our own from the start, since Django cannot swap it later."""

    language = models.CharField(_("language"), max_length=10, blank=True, default="", db_default="")
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        validators=[validate_time_zone],
        help_text=_("In which times are shown. Empty: the platform's (TIME_ZONE)."),
    )

    class Meta:
        verbose_name = _("operator")
        verbose_name_plural = _("operators")


class SecondFactor(TimestampMixin, ThrottlingMixin, Device):
    """An app that shows one-time codes (RFC 6238), and ten codes for the day on which it is lost.

    django-otp's own devices keep their secrets in the clear. Here the key is encrypted, and of the
    backup codes only hashes are stored. Both kinds share one throttle.
    """

    name = None
    user = models.OneToOneField(
        User, on_delete=models.CASCADE, related_name="second_factor", verbose_name=_("operator")
    )
    # Twenty random bytes in hex.
    key = EncryptedJSONField()
    # The time step of the last code that was taken: neither it nor an older one is taken again.
    last_step = models.BigIntegerField(default=-1)
    backup_hashes = models.JSONField(default=list)

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return f"of {self.user_id}"

    def get_throttle_factor(self) -> int:
        """Seconds to wait after a wrong code; they double with each."""
        return 1

    def verify_token(self, token: str) -> bool:
        """For `django_otp.verify_token`, which holds the row meanwhile."""
        if not self.verify_is_allowed()[0]:
            return False
        if not (self._takes_code(token) or self._takes_backup(token)):
            self.throttle_increment()
            return False
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save()
        return True

    def _takes_code(self, token: str) -> bool:
        if not (token.isascii() and token.isdigit() and len(token) == 6):
            return False
        try:
            totp = TOTP(bytes.fromhex(self.key.open()))
        except UnreadableSecret:
            log.warning("second_factor_unreadable", user_id=self.user_id)
            return False
        totp.time = time.time()
        if not totp.verify(int(token), tolerance=1, min_t=self.last_step + 1):
            return False
        self.last_step = totp.t()
        return True

    def _takes_backup(self, token: str) -> bool:
        asked = hash_backup_code(token)
        for stored in self.backup_hashes:
            if hmac.compare_digest(stored, asked):
                self.backup_hashes = [other for other in self.backup_hashes if other != stored]
                return True
        return False


def hash_backup_code(code: str) -> str:
    return salted_hmac("accounts.backup_codes", code, algorithm="sha256").hexdigest()
