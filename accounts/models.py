from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.networks import parse_network
from accounts.recipients import parse_allowed
from core.numbers import is_region

# A week.
MAX_DEDUPE_SECONDS = 7 * 86_400


def validate_recipients(value: object) -> None:
    if not isinstance(value, list):
        raise ValidationError(_("Give a list of addresses and domains."))
    for text in value:
        try:
            parse_allowed(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(
            _("%(name)s is no time zone, for example Asia/Shanghai."), params={"name": name}
        )


def validate_region(text: str) -> None:
    if not is_region(text):
        raise ValidationError(
            _("%(text)s is no country, for example CN."), params={"text": text[:20]}
        )


def validate_regions(value: object) -> None:
    if not isinstance(value, list):
        raise ValidationError(_("Give a list of countries."))
    for text in value:
        validate_region(str(text))


class User(AbstractUser):
    """An operator of the admin. Our own from the start, since Django cannot swap it later."""

    class Meta:
        verbose_name = _("operator")
        verbose_name_plural = _("operators")


class Application(models.Model):
    """A calling system. Owns its keys and messages, and sees only its own."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    description = models.TextField(_("description"), blank=True)
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Switched off, all its keys and tokens stop at once."),
    )
    dedupe_seconds = models.PositiveIntegerField(
        _("window for duplicates"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_DEDUPE_SECONDS)],
        help_text=_(
            "In seconds: the same message again within it is not sent twice. 0 switches that off; "
            "empty: as the platform is set (DEDUPE_SECONDS). Templates may have their own."
        ),
    )
    allowed_recipients = models.JSONField(
        _("allowed recipients"),
        default=list,
        blank=True,
        validators=[validate_recipients],
        help_text=_(
            "For staging: only these are written to. An address, @example.com or *.example.com, "
            "one a line. Empty: everybody."
        ),
    )
    default_region = models.CharField(
        _("country of numbers"),
        max_length=2,
        blank=True,
        default="",
        db_default="",
        validators=[validate_region],
        help_text=_(
            "Telephone numbers without a country are of this one, for example CN. Empty: as the "
            "platform is set (DEFAULT_REGION)."
        ),
    )
    allowed_countries = models.JSONField(
        _("countries for SMS"),
        default=list,
        blank=True,
        validators=[validate_regions],
        help_text=_(
            "SMS go to numbers of these only, for example CN and HK, one a line. Empty: of the "
            "country above."
        ),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    # Limits: null is the platform's default, 0 is none. `accounts.limits` reads them with the key.
    requests_per_second = models.PositiveIntegerField(
        _("requests a second"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(100_000)],
        help_text=_("More are answered with 429, rate_limited."),
    )
    burst = models.PositiveIntegerField(
        _("requests at once"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(100_000)],
        help_text=_("After a pause; at least as many as in a second."),
    )
    messages_per_day = models.PositiveIntegerField(
        _("messages a day"),
        null=True,
        blank=True,
        help_text=_("More are answered with 429, quota_exceeded."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        validators=[validate_time_zone],
        help_text=_("In which its days begin, for example Asia/Shanghai."),
    )
    recipient_per_hour = models.PositiveIntegerField(
        _("messages an hour"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(1000)],
        help_text=_("More are answered with 429, recipient_capped."),
    )
    recipient_per_day = models.PositiveIntegerField(
        _("messages a day"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(1000)],
    )
    is_recipient_cap_for_high_only = models.BooleanField(
        _("count only those of high priority"),
        default=False,
        db_default=False,
        help_text=_("Codes are sent with it; receipts and news are not limited then."),
    )

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="application_window_for_duplicates_is_at_most_a_week",
                condition=Q(dedupe_seconds__isnull=True)
                | Q(dedupe_seconds__lte=MAX_DEDUPE_SECONDS),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Scope(models.TextChoices):
    MESSAGES_SEND = "messages:send", _("send messages")
    MESSAGES_READ = "messages:read", _("read messages")
    TEMPLATES_READ = "templates:read", _("read templates")
    TEMPLATES_WRITE = "templates:write", _("write and publish templates")
    WEBHOOKS_MANAGE = "webhooks:manage", _("manage webhooks")
    SUPPRESSIONS_READ = "suppressions:read", _("read the suppression list")
    SUPPRESSIONS_WRITE = "suppressions:write", _("add to and remove from the suppression list")
    SENDERS_READ = "senders:read", _("read how senders do")
    STATISTICS_READ = "statistics:read", _("read statistics")


def validate_scopes(value: object) -> None:
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(
            _("Give a list of at least one of: %(scopes)s."),
            params={"scopes": ", ".join(Scope.values)},
        )


def validate_networks(value: object) -> None:
    if not isinstance(value, list):
        raise ValidationError(_("Give a list of networks."))
    for text in value:
        try:
            parse_network(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


def all_scopes() -> list[str]:
    return list(Scope.values)


class ApiKey(models.Model):
    """What an application shows to get tokens. The secret itself is stored nowhere."""

    class Kind(models.TextChoices):
        LIVE = "live", _("live")
        TEST = "test", _("test")

    key_id = models.CharField(_("key id"), max_length=64, unique=True, editable=False)
    # HMAC-SHA256 of the secret under API_KEY_PEPPER, in hex. A slow hash protects nothing at 256
    # random bits.
    secret_hash = models.CharField(max_length=64, editable=False)
    application = models.ForeignKey(
        Application,
        on_delete=models.PROTECT,
        related_name="api_keys",
        verbose_name=_("application"),
    )
    name = models.CharField(
        _("name"),
        max_length=100,
        help_text=_("Where it is used, for example “billing, production”."),
    )
    kind = models.CharField(_("kind"), max_length=4, choices=Kind, default=Kind.LIVE)
    scopes = models.JSONField(_("scopes"), default=all_scopes, validators=[validate_scopes])
    allowed_networks = models.JSONField(
        _("allowed networks"),
        default=list,
        blank=True,
        validators=[validate_networks],
        help_text=_("For example 10.0.0.0/8. Empty: from anywhere."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False)
    # Tokens carry it; raising it ends all tokens that are out.
    version = models.PositiveIntegerField(default=1, editable=False)
    replaces = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="replaced_by",
        verbose_name=_("replaces"),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="api_key_is_live_or_test", condition=Q(kind__in=["live", "test"])
            ),
            models.CheckConstraint(
                name="api_key_id_tells_that_it_is_ours", condition=Q(key_id__startswith="noti_")
            ),
        ]

    def __str__(self) -> str:
        return self.key_id
