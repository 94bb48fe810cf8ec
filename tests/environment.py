"""A complete environment for the tests, set before settings are read (`-p tests.environment`)."""

import os

os.environ.pop("ENV_FILE", None)
DEFAULTS = {
    "SECRET_KEY": "tests-secret-key-000000000000000000000000000000000000",
    "API_KEY_PEPPER": "tests-pepper-00000000000000000000000000000000000000",
    "JWT_SIGNING_KEY": "tests-jwt-key-" + "0" * 64,
    "CREDENTIALS_KEYS": "dGVzdHMtb25seS1mZXJuZXQta2V5LTAwMDAwMDAwMDA=",
    "HTTPS": "false",
    "DEBUG": "false",
    "MESSAGE_ID_DOMAIN": "notifications.example.com",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
}
for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
# The process under test talks to no broker and no Redis; flows start their own processes.
os.environ["CELERY_BROKER_URL"] = "memory://localhost/"
os.environ["REDIS_URL"] = ""
