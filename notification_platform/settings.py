"""All settings come from the environment. `.env.example` lists every variable with its meaning.

A value that cannot be read stops the process with the variable's name. A value that can be read
but makes no sense in its place is reported by the system checks of `notification_platform.checks`.
"""

import secrets
from datetime import timedelta
from pathlib import Path

import environ
from kombu import Exchange, Queue

from core.logging import logging_config
from core.schema_headers import HEADERS
from notification_platform import admin_theme, env

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
MAX_BODY_BYTES = 1_048_576

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
    "core",
    "accounts",
    "templates_app",
    "messaging",
    "notification_platform",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.middleware.Session",
    "core.middleware.Locale",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.middleware.Authentication",
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
CHANNEL_FAMILIES = ("email",)
HOUSEKEEPING_QUEUE = f"{QUEUE_PREFIX}.housekeeping"
QUEUE_NAMES = [
    *(f"{QUEUE_PREFIX}.{family}.{lane}" for family in CHANNEL_FAMILIES for lane in LANES),
    HOUSEKEEPING_QUEUE,
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
    ("email", "high"): env.backoff("RETRY_EMAIL_HIGH", "1s,2s,20s"),
    ("email", "normal"): env.backoff("RETRY_EMAIL_NORMAL", "15s,30s,1h"),
    ("email", "bulk"): env.backoff("RETRY_EMAIL_BULK", "60s,5m,4h"),
}
# The right-hand side of every Message-ID. It must not change with the sender that is chosen.
MESSAGE_ID_DOMAIN = env.text("MESSAGE_ID_DOMAIN", "notifications.localhost")
# `/health/ready` answers 503 when a due message has waited for longer than this.
PROGRESS_ALERT_SECONDS = env.integer("PROGRESS_ALERT_SECONDS", 300, minimum=10, maximum=86_400)
# Where the local mailbox of the embedded mode keeps its mail. Empty: no mailbox pages.
MAILBOX_DIR = env.text("MAILBOX_DIR")

# --- API -----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.negotiation.JsonNegotiation",
    "DEFAULT_PARSER_CLASSES": ["core.parsing.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "core.pagination.BoundedPagination",
    "DEFAULT_SCHEMA_CLASS": "core.schema.ProblemAutoSchema",
    # OPTIONS describes nothing: the OpenAPI document does.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "core.api.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ISSUER": "notification-platform",
    "AUDIENCE": "notification-platform-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=TOKEN_LIFETIME_MINUTES),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Notification platform",
    "DESCRIPTION": "Send notifications, follow them, and find out why. Bodies are UTF-8 JSON of up "
    "to 1 MiB and 32 levels; no string or name in them holds U+0000 or half a surrogate pair. "
    "A method that a path does not take is answered with 405 and `Allow`.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "APPEND_COMPONENTS": {"headers": HEADERS},
    # Two things have a `status`: a name for each list of choices.
    "ENUM_NAME_OVERRIDES": {
        "MessageStatusEnum": "messaging.story.SHOWN_STATUSES",
        "VersionStatusEnum": "templates_app.models.VersionStatus",
    },
}

# --- Language, time, logs ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
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
