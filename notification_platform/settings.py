"""All settings come from the environment. `.env.example` lists every variable with its meaning.

A value that cannot be read stops the process with the variable's name. A value that can be read
but makes no sense in its place is reported by the system checks of `notification_platform.checks`.
"""

import secrets
from datetime import timedelta
from pathlib import Path

import environ
from celery.schedules import crontab
from kombu import Exchange, Queue

from core.logging import logging_config
from notification_platform import admin_theme, attachment_storage, env
from notification_platform.api_settings import REST_FRAMEWORK as REST_FRAMEWORK
from notification_platform.api_settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from notification_platform.login_settings import *  # noqa: F403

BASE_DIR = Path(__file__).resolve().parent.parent

if env_file := env.text("ENV_FILE"):
    environ.Env.read_env(env_file)

DEBUG = env.boolean("DEBUG", default=False)
# One process serves, works and schedules on SQLite: set by `make run`, never in production.
EMBEDDED = env.boolean("EMBEDDED", default=False)

# Django cannot even run its checks without one; `configuration.E001` refuses to serve with this.
UNSET_SECRET_KEY = f"unset-{secrets.token_urlsafe(48)}"
SECRET_KEY = env.text("SECRET_KEY", UNSET_SECRET_KEY)
API_KEY_PEPPER = env.text("API_KEY_PEPPER")
# The first key encrypts; all of them decrypt, so that keys can be rotated.
CREDENTIALS_KEYS = env.words("CREDENTIALS_KEYS")
JWT_SIGNING_KEY = env.text("JWT_SIGNING_KEY")
TOKEN_LIFETIME_MINUTES = env.integer("TOKEN_LIFETIME_MINUTES", 60, minimum=1, maximum=60)

# --- Web -----------------------------------------------------------------------------------------

# The last is the name by which a container's health check asks, whatever the others are.
ALLOWED_HOSTS = [*env.words("ALLOWED_HOSTS", ["localhost", "[::1]"]), "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# How many reverse proxies of yours stand in front; decides which X-Forwarded-For entry is believed.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=10)
HTTPS = env.boolean("HTTPS", default=not (DEBUG or EMBEDDED))
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# Probes and scrapers inside the cluster speak plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_AGE = 12 * 3600

ROOT_URLCONF = "notification_platform.urls"
WSGI_APPLICATION = "notification_platform.wsgi.application"
APPEND_SLASH = False

# The largest JSON body of the API, in bytes. Larger ones are refused before they are read.
MAX_BODY_BYTES = env.integer("MAX_BODY_BYTES", 1_048_576, minimum=10_000, maximum=104_857_600)
MAX_BATCH_BODY_BYTES = 10 * MAX_BODY_BYTES
# How deep its arrays and objects may stand in one another. Python gives up at some hundreds.
MAX_JSON_DEPTH = env.integer("MAX_JSON_DEPTH", 32, minimum=8, maximum=200)
# Path and query of a request. The server itself refuses lines of more than 8190 bytes.
MAX_URL_BYTES = env.integer("MAX_URL_BYTES", 4096, minimum=512, maximum=8000)
DATA_UPLOAD_MAX_NUMBER_FIELDS = env.integer("MAX_FORM_FIELDS", 1000, minimum=100, maximum=10_000)
# Forms of the admin, without their files.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer(
    "MAX_FORM_BYTES", 2_621_440, minimum=1_048_576, maximum=104_857_600
)
# Rows of a list of the API: without and with `page_size`.
PAGE_SIZE = env.integer("PAGE_SIZE", 20, minimum=1, maximum=1000)
MAX_PAGE_SIZE = env.integer("MAX_PAGE_SIZE", 100, minimum=1, maximum=1000)

# --- Limits of applications that have none of their own; 0 is none --------------------------------

DEFAULT_REQUESTS_PER_SECOND = env.integer(
    "DEFAULT_REQUESTS_PER_SECOND", 0, minimum=0, maximum=100_000
)
DEFAULT_MESSAGES_PER_DAY = env.integer(
    "DEFAULT_MESSAGES_PER_DAY", 0, minimum=0, maximum=2_147_483_647
)
DEFAULT_RECIPIENT_PER_HOUR = env.integer("DEFAULT_RECIPIENT_PER_HOUR", 0, minimum=0, maximum=1000)
DEFAULT_RECIPIENT_PER_DAY = env.integer("DEFAULT_RECIPIENT_PER_DAY", 0, minimum=0, maximum=1000)
# Telephone numbers without a country are of this one; applications may have their own.
DEFAULT_REGION = env.text("DEFAULT_REGION", "CN").upper()
# Failed attempts to get a token, a minute.
TOKEN_FAILURES_PER_NETWORK = env.integer(
    "TOKEN_FAILURES_PER_NETWORK", 20, minimum=0, maximum=100_000
)
TOKEN_FAILURES_PER_KEY = env.integer("TOKEN_FAILURES_PER_KEY", 60, minimum=0, maximum=100_000)

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "django_prometheus",
    "anymail",
    "django_otp",
    "core",
    "accounts",
    # After ours, one of whose commands stands for one of its.
    "axes",
    "templates_app",
    "messaging",
    "reporting",
    "notification_platform",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "core.middleware.RequestIdMiddleware",
    "core.middleware.ShortUrls",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.Session",
    "core.middleware.Locale",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.middleware.Authentication",
    "accounts.middleware.SecondFactor",
    "accounts.middleware.Preferences",
    "core.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "core.middleware.Measured",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "notification_platform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
# Set in the image, where `collectstatic` has run. Without it static files are served straight from
# the packages: right, but neither compressed nor cached for long.
STATIC_MANIFEST = env.boolean("STATIC_MANIFEST", default=False)
STATIC_ROOT = BASE_DIR / "staticfiles" if STATIC_MANIFEST else None
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if STATIC_MANIFEST
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# --- Attachments ---------------------------------------------------------------------------------

ATTACHMENTS_STORAGE = env.text("ATTACHMENTS_STORAGE", "folder", choices=["folder", "s3"])
ATTACHMENTS_DIR = env.text("ATTACHMENTS_DIR", str(BASE_DIR / "var" / "attachments"))
STORAGES["attachments"] = attachment_storage.entry(ATTACHMENTS_STORAGE, folder=ATTACHMENTS_DIR)
MIB = 1_048_576
ATTACHMENT_MAX_BYTES = env.integer("ATTACHMENT_MAX_MB", 10, minimum=1, maximum=50) * MIB
MESSAGE_ATTACHMENTS_MAX_BYTES = (
    env.integer("MESSAGE_ATTACHMENTS_MAX_MB", 20, minimum=1, maximum=50) * MIB
)
ATTACHMENT_TYPES = env.words("ATTACHMENT_TYPES", attachment_storage.TYPES)
# How long an uploaded file may be sent.
ATTACHMENT_LIFETIME_HOURS = env.integer("ATTACHMENT_LIFETIME_HOURS", 24, minimum=1, maximum=8760)
# How long files are kept after the last message with them is over, so that it can be sent again.
ATTACHMENT_KEEP_DAYS = env.integer("ATTACHMENT_KEEP_DAYS", 7, minimum=0, maximum=3650)
# While it is being uploaded a file has no name anywhere. On the same disk, not in memory.
UPLOAD_TEMP_DIR = ATTACHMENTS_DIR if ATTACHMENTS_STORAGE == "folder" else None

# --- Database, cache -----------------------------------------------------------------------------

DATABASE_URL = env.url(
    "DATABASE_URL",
    f"sqlite:///{BASE_DIR / 'var' / 'notifications.sqlite3'}",
    schemes=["postgres", "postgresql", "sqlite"],
)
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        # Without IMMEDIATE two thirds of concurrent transactions fail with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: what was answered with 202 survives a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    options = DATABASES["default"].setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", 5)
    # Off behind a pooler that gives each transaction another connection (PgBouncer before 1.21).
    if env.boolean("PREPARED_STATEMENTS", default=True):
        options.setdefault("prepare_threshold", 5)
DATABASES["default"]["CONN_MAX_AGE"] = 600
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.url("REDIS_URL", "", schemes=["redis", "rediss", "unix"])
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": env.text("QUEUE_PREFIX", "notifications"),
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Queue ---------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL", "memory://localhost/", schemes=["amqp", "amqps", "pyamqp", "memory"]
)
QUEUE_PREFIX = env.text("QUEUE_PREFIX", "notifications")
LANES = ("high", "normal", "bulk")
# Those of `core.vocabulary`. Each has queues of its own: a slow provider keeps its own back only.
CHANNEL_FAMILIES = ("email", "sms", "wechat", "wechat_official", "chat")
HOUSEKEEPING_QUEUE = f"{QUEUE_PREFIX}.housekeeping"
WEBHOOK_QUEUE = f"{QUEUE_PREFIX}.webhooks"
QUEUE_NAMES = [
    *(f"{QUEUE_PREFIX}.{family}.{lane}" for family in CHANNEL_FAMILIES for lane in LANES),
    HOUSEKEEPING_QUEUE,
    WEBHOOK_QUEUE,
]
# Each with its own key: a queue without one is bound by the default key and gets every message.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange(QUEUE_PREFIX, type="direct"), routing_key=name, durable=True)
    for name in QUEUE_NAMES
]
CELERY_TASK_DEFAULT_QUEUE = HOUSEKEEPING_QUEUE
CELERY_TASK_DEFAULT_EXCHANGE = QUEUE_PREFIX
CELERY_TASK_DEFAULT_ROUTING_KEY = HOUSEKEEPING_QUEUE
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# Longer than the longest hand-over: connect, commands, data and the wait after the final dot.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 240
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Its queue is exclusive and named after the host. A worker that connects again before RabbitMQ has
# noticed the loss of the old connection, or a second one on the same host, dies of RESOURCE_LOCKED.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_DB_REUSE_MAX = 1000
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.02}
    if CELERY_BROKER_URL.startswith("memory")
    else {"confirm_publish": True, "read_timeout": 30, "write_timeout": 10}
)
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
# Beat keeps nothing on disk: every periodic job is idempotent and finds its own work.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "messaging.sweep",
        "schedule": 1.0,
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 5, "expiration": 5},
    },
    "poll": {
        "task": "messaging.poll",
        # By the clock: each minute has its own share, see `messaging.reconciliation`.
        "schedule": crontab(),
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 60, "expiration": 60},
    },
    "tidy": {
        "task": "messaging.tidy",
        "schedule": 600.0,
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 600, "expiration": 600},
    },
    "bring-statistics-up-to-date": {
        "task": "reporting.bring_up_to_date",
        "schedule": 20.0,
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 20, "expiration": 20},
    },
    "remove-expired-attachments": {
        "task": "messaging.remove_expired_attachments",
        "schedule": 600.0,
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 300},
    },
    "remove-lost-files": {
        "task": "messaging.remove_lost_files",
        # By the clock: a beat that is restarted every day still comes to it.
        "schedule": crontab(hour="3", minute="17"),
        "options": {"queue": HOUSEKEEPING_QUEUE, "expires": 3600},
    },
}
# Prometheus endpoint of a worker process; 0 switches it off.
WORKER_METRICS_PORT = env.integer("WORKER_METRICS_PORT", 0, minimum=0, maximum=65_535)
# A file that a worker or beat touches while it works, for health checks. Empty: none.
HEARTBEAT_PATH = env.text("HEARTBEAT_PATH")

# --- Sending -------------------------------------------------------------------------------------

# How long a claim lasts. A drain renews what it holds at a third of it, whatever it waits for, so
# the work of a worker that died is taken up after this time at the latest.
LEASE_SECONDS = env.integer("LEASE_SECONDS", 60, minimum=5, maximum=3600)
if not SQLITE:
    # A process that is frozen inside a transaction must not hold its locks until leases run out
    # that others cannot renew because of them. In milliseconds.
    patience = min(15_000, LEASE_SECONDS * 250)
    options.setdefault("options", f"-c idle_in_transaction_session_timeout={patience}")
# The same message again within so many seconds is not sent twice; 0 switches that off. Applications
# and templates may have their own.
DEDUPE_SECONDS = env.integer("DEDUPE_SECONDS", 300, minimum=0, maximum=7 * 86_400)
# When a message is tried again after a temporary failure: floor, first and longest step.
RETRIES = {
    (channel, lane): env.backoff(f"RETRY_{channel}_{lane}".upper(), usual)
    for channel in CHANNEL_FAMILIES
    for lane, usual in (("high", "1s,2s,20s"), ("normal", "15s,30s,1h"), ("bulk", "60s,5m,4h"))
}
# The right-hand side of every Message-ID. It must not change with the sender that is chosen.
MESSAGE_ID_DOMAIN = env.text("MESSAGE_ID_DOMAIN", "notifications.localhost")
# `/health/ready` answers 503 when a due message has waited for longer than this.
PROGRESS_ALERT_SECONDS = env.integer("PROGRESS_ALERT_SECONDS", 300, minimum=10, maximum=86_400)
# Where the local mailbox of the embedded mode keeps its mail. Empty: no mailbox pages.
MAILBOX_DIR = env.text("MAILBOX_DIR")
# The same for what the imitated providers of other channels took.
PHONE_DIR = env.text("PHONE_DIR")

# Networks that chats may be sent into although they are not public, by plain http too.
CHAT_ALLOWED_NETWORKS = env.networks("CHAT_ALLOWED_NETWORKS")

# --- Webhooks ------------------------------------------------------------------------------------

# Networks that webhooks may lead to although they are not public.
WEBHOOK_ALLOWED_NETWORKS = env.networks("WEBHOOK_ALLOWED_NETWORKS")
# Plain http, for developing: what is told travels in the clear.
WEBHOOK_ALLOW_HTTP = env.boolean("WEBHOOK_ALLOW_HTTP", default=False)
# Certificates of an authority of your own, in PEM, beside the public ones.
WEBHOOK_CA_FILE = env.text("WEBHOOK_CA_FILE")

# --- API -----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"
# Whether operators must have a second factor, or may.
TWO_FACTOR = env.text("TWO_FACTOR", "optional", choices=["optional", "required"])
# After so many failed logins a username is locked out, for the address that they came from.
AXES_FAILURE_LIMIT = env.integer("LOGIN_FAILURES", 5, minimum=1, maximum=1000)
AXES_COOLOFF_TIME = timedelta(
    minutes=env.integer("LOGIN_LOCKOUT_MINUTES", 15, minimum=1, maximum=10_080)
)

SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ISSUER": "notification-platform",
    "AUDIENCE": "notification-platform-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=TOKEN_LIFETIME_MINUTES),
    # Clocks of several web servers differ a little; see `accounts.claims`.
    "LEEWAY": 10,
}

# --- Language, time, logs ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "core.formats"
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_I18N = USE_TZ = True

LOG_LEVEL = env.text("LOG_LEVEL", "INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
LOG_FORMAT = env.text(
    "LOG_FORMAT", "console" if DEBUG or EMBEDDED else "json", choices=["json", "console"]
)
LOGGING_CONFIG = None
logging_config(level=LOG_LEVEL, form=LOG_FORMAT)

# --- Admin ---------------------------------------------------------------------------------------

UNFOLD = admin_theme.UNFOLD
