"""`check --deploy` with secrets made for this one run, as a production process would have them."""

import os
import secrets
import subprocess
import sys

from cryptography.fernet import Fernet

environment = os.environ | {
    "SECRET_KEY": secrets.token_urlsafe(48),
    "API_KEY_PEPPER": secrets.token_urlsafe(48),
    "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
    "CREDENTIALS_KEYS": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "notifications.example.com",
    "MESSAGE_ID_DOMAIN": "notifications.example.com",
}
command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603
