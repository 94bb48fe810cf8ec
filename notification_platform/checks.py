"""What is set but makes no sense, or is missing: found before the first message suffers from it."""

from ssl import create_default_context
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

from core.numbers import is_region

TAG = "configuration"
SECRETS = {
    "SECRET_KEY": ("configuration.E001", "It signs the sessions of the admin."),
    "API_KEY_PEPPER": ("configuration.E002", "Without it no API key can be issued or checked."),
    "JWT_SIGNING_KEY": ("configuration.E003", "It signs the tokens of the API."),
}
NEW_SECRET_COMMAND = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'  # noqa: S105
NEW_KEY_COMMAND = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)


@register(TAG)
def check_secrets(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, (check_id, purpose) in SECRETS.items():
        value = getattr(settings, name)
        if not value or value == settings.UNSET_SECRET_KEY:
            found.append(
                Error(
                    f"{name} is not set. {purpose}",
                    hint=f"Make one: {NEW_SECRET_COMMAND}",
                    id=check_id,
                )
            )
        elif len(value) < 32:
            found.append(
                Error(
                    f"{name} is shorter than 32 characters.",
                    hint=f"Make one: {NEW_SECRET_COMMAND}",
                    id=check_id,
                )
            )
    values = [getattr(settings, name) for name in SECRETS if getattr(settings, name)]
    if len(set(values)) < len(values):
        found.append(
            Error(
                f"Two of {', '.join(SECRETS)} are the same.",
                hint="Give each its own, so that one that leaks does not open the others.",
                id="configuration.E004",
            )
        )
    return found


@register(TAG)
def check_credentials_keys(**_: Any) -> list[CheckMessage]:
    if not settings.CREDENTIALS_KEYS:
        return [
            Error(
                "CREDENTIALS_KEYS is not set. It encrypts the credentials of senders.",
                hint=f"Make one: {NEW_KEY_COMMAND}",
                id="configuration.E005",
            )
        ]
    for position, key in enumerate(settings.CREDENTIALS_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"Entry {position} of CREDENTIALS_KEYS is no Fernet key.",
                    hint=f"Make one: {NEW_KEY_COMMAND}",
                    id="configuration.E005",
                )
            ]
    return []


@register(TAG)
def check_services(**_: Any) -> list[CheckMessage]:
    if settings.EMBEDDED:
        return []
    found: list[CheckMessage] = []
    if settings.CELERY_BROKER_URL.startswith("memory"):
        found.append(
            Warning(
                "CELERY_BROKER_URL is not set: workers in other processes will not be woken.",
                hint="Set it to your RabbitMQ, for example amqp://user:password@rabbitmq:5672//",
                id="configuration.W001",
            )
        )
    if settings.SQLITE:
        found.append(
            Warning(
                "DATABASE_URL is not set or is SQLite, which only suits the embedded mode.",
                hint="Set it to your PostgreSQL, for example postgres://user:password@db/name",
                id="configuration.W002",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            Warning(
                "REDIS_URL is not set: every process counts and caches for itself.",
                hint="Set it to your Redis, for example redis://redis:6379/0",
                id="configuration.W003",
            )
        )
    if settings.MESSAGE_ID_DOMAIN == "notifications.localhost":
        found.append(
            Warning(
                "MESSAGE_ID_DOMAIN is not set: mail filters distrust ids without a real domain.",
                hint="Set it to a domain of yours, and do not change it afterwards.",
                id="configuration.W004",
            )
        )
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Warning(
                "ALLOWED_HOSTS lets every host name in.",
                hint="List the names under which the platform is reached.",
                id="configuration.W005",
            )
        )
    return found


@register(TAG)
def check_region(**_: Any) -> list[CheckMessage]:
    if is_region(settings.DEFAULT_REGION):
        return []
    return [
        Error(
            f"DEFAULT_REGION is {settings.DEFAULT_REGION!r}, which is no country.",
            hint="Give its two letters, for example CN.",
            id="configuration.E007",
        )
    ]


@register(TAG)
def check_webhooks(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.WEBHOOK_CA_FILE:
        try:
            create_default_context(cafile=settings.WEBHOOK_CA_FILE)
        except OSError as error:
            found.append(
                Error(
                    f"WEBHOOK_CA_FILE holds no certificates that can be read: {error}.",
                    hint="Point it to a PEM file with the certificates of your authority.",
                    id="configuration.E006",
                )
            )
    if settings.WEBHOOK_ALLOW_HTTP and not settings.EMBEDDED:
        found.append(
            Warning(
                "WEBHOOK_ALLOW_HTTP lets what is told to webhooks travel in the clear.",
                hint="Leave it off, and give receivers certificates; WEBHOOK_CA_FILE takes yours.",
                id="configuration.W006",
            )
        )
    return found


def refuse() -> None:
    """End a process that would only fail later. Raises `ImproperlyConfigured` with all errors."""
    errors = [message for message in run_checks(tags=[TAG]) if message.level >= 40]
    if errors:
        lines = "\n".join(f"  {error.id}: {error.msg} {error.hint}" for error in errors)
        raise ImproperlyConfigured(f"The configuration cannot be used:\n{lines}")
