import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path


def prepare(data: Path) -> Path:
    """The environment file of the data folder: its secrets are made once, the rest anew."""
    path = data / "embedded.env"
    kept = _read(path)
    values = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "API_KEY_PEPPER": secrets.token_urlsafe(48),
        "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
        "CREDENTIALS_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "LOG_LEVEL": "WARNING",
    } | kept
    values |= {
        "EMBEDDED": "true",
        "DEBUG": "false",
        "HTTPS": "false",
        "DATABASE_URL": f"sqlite:///{data / 'notifications.sqlite3'}",
        "CELERY_BROKER_URL": "memory://localhost/",
        "REDIS_URL": "",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "MAILBOX_DIR": str(data / "mailbox"),
        "PHONE_DIR": str(data / "phone"),
        # The imitated chat server.
        "CHAT_ALLOWED_NETWORKS": "127.0.0.0/8",
        "ATTACHMENTS_STORAGE": "folder",
        "ATTACHMENTS_DIR": str(data / "attachments"),
    }
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Made by the embedded mode. Its secrets are kept; the rest is written anew.\n")
        file.write(text)
    return path


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
