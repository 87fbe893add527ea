"""All settings, in one file. Every value that a deployment changes is an environment variable."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from batchsite import environment
from batchsite.known_providers import KNOWN_PROVIDERS

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

# --- What kind of machine this is -----------------------------------------------------------------

ENVIRONMENT = environment.text("BATCHSITE_ENVIRONMENT", "development")
if ENVIRONMENT not in {"development", "production"}:
    raise ImproperlyConfigured("BATCHSITE_ENVIRONMENT must be development or production.")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = environment.boolean("DEBUG", False)
SECRET_KEY = environment.text("SECRET_KEY")
if not SECRET_KEY:
    if PRODUCTION:
        raise ImproperlyConfigured("SECRET_KEY must be set in production.")
    # Good for one process; bin/up keeps one in its data folder so that sessions survive a restart.
    SECRET_KEY = secrets.token_urlsafe(48)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS", "" if PRODUCTION else "*")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = environment.text("PUBLIC_URL")
PROCESS_NAME = environment.text("PROCESS_NAME", "batchsite")
DATA_DIR = Path(environment.text("BATCHSITE_DATA", str(BASE_DIR / ".data")))

# --- Django ---------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",  # the admin's theme, in front of the admin whose templates it takes the place of
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "providers",
    "batches",
    "records",
]
MIDDLEWARE = [
    "batches.logs.requests.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "batches.pages.policy.OwnContentOnly",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
ROOT_URLCONF = "batchsite.urls"
ASGI_APPLICATION = "batchsite.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
APPEND_SLASH = False  # both spellings of every route are served; a redirect would lose a POST's body
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "batch-list"
LOGOUT_REDIRECT_URL = "login"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "batchsite.formats"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "batchsite" / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = False
MEDIA_ROOT = DATA_DIR / "files"
# Where files lie: a folder (which all machines must share), or any of Django's storages, such as
# storages.backends.s3.S3Storage with {"bucket_name": "batchsite"}.
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": environment.text("FILE_STORAGE", "django.core.files.storage.FileSystemStorage"),
        "OPTIONS": environment.document("FILE_STORAGE_OPTIONS"),
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION and environment.boolean("COOKIES_SECURE", True)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if environment.boolean("BEHIND_PROXY", False) else None
# A batch of 100,000 inline items is about 20 MB; data URLs need more. Above it: 413.
DATA_UPLOAD_MAX_MEMORY_SIZE = environment.integer("MAX_BODY_BYTES", 64 * 1024 * 1024)
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- Postgres: the ledger -------------------------------------------------------------------------

DATABASE_URL = environment.text("DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/batchsite")
DATABASES: dict[str, dict[str, Any]] = {"default": dict(dj_database_url.parse(DATABASE_URL))}
# The pool checks a connection before it hands it out: after a restart of Postgres stale ones are replaced.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = 0  # the pool keeps connections; Django hands them back at once
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "pool": {
            "min_size": 1,
            "max_size": environment.integer("DATABASE_POOL_SIZE", 10, minimum=2),
            "timeout": 10,
            "max_idle": 300,
        },
        "connect_timeout": 5,
        "application_name": PROCESS_NAME,
        # A frozen peer is noticed within seconds instead of the kernel's two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # What was sent and nobody confirmed, in milliseconds: keepalives do not run while an answer is awaited. Below
        # STANDSTILL_SECONDS, so that a recorder on a dead connection tries another before its worker ends itself.
        "tcp_user_timeout": 30_000,
        # Nothing here waits for anybody inside a transaction. One whose process stands still holds locks that stop all
        # others who record outcomes of the same batch: Postgres ends it.
        "options": "-c idle_in_transaction_session_timeout=30s",
    }
)

# --- Redis: the doorbell --------------------------------------------------------------------------

REDIS_URL = environment.text("REDIS_URL", "redis://127.0.0.1:6379/0")
# Keys and channels start with it, so that several stacks can share one Redis.
REDIS_PREFIX = environment.text("REDIS_PREFIX", "batchsite")

# --- REST -----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "batches.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "batches.api.permissions.HasScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "batches.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DEFAULT_SCHEMA_CLASS": "batches.api.openapi.DescribedSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "batchsite",
    "DESCRIPTION": "Very large batches of calls to the outside world: nothing is lost, no limit is broken.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api",
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["batches.api.openapi.without_slashes"],
    "POSTPROCESSING_HOOKS": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: see `/api/keys`."},
            "session": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        }
    },
    # Its assets are ours to serve.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
}

# --- Logs: named events with ids, never a message text, a number, a key or a query string -----------

LOG_FORMAT = environment.text("LOG_FORMAT", "json" if PRODUCTION else "text")
if LOG_FORMAT not in {"json", "text"}:
    raise ImproperlyConfigured("LOG_FORMAT must be json or text.")
LOGGING_CONFIG = "batches.logs.configuring.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "batches.logs.lines.TextLines"},
        "json": {"()": "batches.logs.lines.JsonLines"},
    },
    "filters": {"discreet": {"()": "batches.logs.libraries.DiscreetLibraries"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["discreet"]}},
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # A line per message would be thousands a minute; what failed is still said.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        # Our own line says how a request ended; what failed in it is still said.
        "django.request": {"level": "ERROR"},
        # Named here, a library's logger loses handlers of its own.
        **{name: {"handlers": [], "propagate": True} for name in ("django", "django.server", "uvicorn")},
        "uvicorn.access": {"level": "WARNING"},
        # They tell the addresses that are called, in which numbers may stand.
        **{name: {"level": "WARNING"} for name in ("urllib3", "httpx", "httpcore")},
    },
}

# --- Batches --------------------------------------------------------------------------------------

BATCH_DEFAULT_SIZE = environment.integer("BATCH_DEFAULT_SIZE", 50, minimum=1)
BATCH_MAX_RETRIES = environment.integer("BATCH_MAX_RETRIES", 3)
BATCH_TIMEOUT_MS = environment.integer("BATCH_TIMEOUT_MS", 30_000, minimum=1)
BATCH_RETENTION_DAYS = environment.integer("BATCH_RETENTION_DAYS", 30, minimum=1)
BATCH_CREATES_PER_MINUTE = environment.integer("BATCH_CREATES_PER_MINUTE", 300, minimum=1)
MEMORY_BATCHES_PER_MINUTE = environment.integer("MEMORY_BATCHES_PER_MINUTE", 10, minimum=1)
BATCH_MAX_INLINE_ITEMS = environment.integer("BATCH_MAX_INLINE_ITEMS", 100_000, minimum=1)
BATCH_RETRY_WINDOW_SECONDS = environment.integer("BATCH_RETRY_WINDOW_SECONDS", 6 * 3600, minimum=1)
MAX_FILE_BYTES = environment.integer("MAX_FILE_BYTES", 20 * 1024 * 1024, minimum=1)
MAX_UPLOAD_BYTES = environment.integer("MAX_UPLOAD_BYTES", 2 * 1024**3, minimum=1)
FILE_RETENTION_DAYS = environment.integer("FILE_RETENTION_DAYS", 30, minimum=1)
IMPORT_MAX_ROWS = environment.integer("IMPORT_MAX_ROWS", 1_000_000, minimum=1)
# What an XLSX file, which is an archive, may hold when it is unpacked.
IMPORT_MAX_UNPACKED_BYTES = environment.integer("IMPORT_MAX_UNPACKED_BYTES", 512 * 1024**2, minimum=1)
# Economy mode: lines of a batch at a provider (a tenth of ours, within these), and a factor of everything it waits for.
ECONOMY_LEAST_LINES = environment.integer("ECONOMY_LEAST_LINES", 500, minimum=1)
ECONOMY_MOST_LINES = environment.integer("ECONOMY_MOST_LINES", 10_000, minimum=1)
ECONOMY_TEMPO = environment.number("ECONOMY_TEMPO", 1.0, minimum=0.001)
OPERATIONS = {
    "annotate": "batches.operations.records.annotate.Annotate",
    "cleanup": "batches.operations.records.cleanup_records.CleanupRecords",
    "export": "batches.operations.records.export_records.ExportRecords",
    "import": "batches.operations.records.import_records.ImportRecords",
    "analyze_conversations": "batches.operations.conversations.analyze_conversations.AnalyzeConversations",
    "generate_images": "batches.operations.photos.generate_images.GenerateImages",
    "process_files": "batches.operations.files.process_files.ProcessFiles",
    "rate_photos": "batches.operations.photos.rate_photos.RatePhotos",
    "sms": "batches.operations.messages.sms.Sms",
    "transform": "batches.operations.records.transform.Transform",
    "validate": "batches.operations.records.validate.Validate",
    "report": "batches.operations.records.report.Report",
}

# Who asks /metrics says it as a Bearer token; without one only staff may, and in development everybody.
METRICS_TOKEN = environment.text("METRICS_TOKEN", "")

# --- The admin's theme ------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "batchsite",
    "SITE_HEADER": "batchsite",
    "SITE_SUBHEADER": "operations",
    "SITE_SYMBOL": "dynamic_feed",
    "SITE_URL": "/",
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")}],
    "STYLES": [lambda request: static("admin-overview.css")],
    "DASHBOARD_CALLBACK": "batches.admin.overview.overview",
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": "batches.admin.navigation.groups"},
}

# --- The engine -----------------------------------------------------------------------------------

# Calls in flight per worker process and channel. Greenlets are cheap; the sum is bounded by memory.
WORKER_CAPACITY = {
    "ai": environment.integer("WORKER_CAPACITY_AI", 3000, minimum=1),
    "sms": environment.integer("WORKER_CAPACITY_SMS", 200, minimum=1),
    "data": environment.integer("WORKER_CAPACITY_DATA", 50, minimum=1),
}
WORKER_DRAIN_SECONDS = environment.number("WORKER_DRAIN_SECONDS", 25.0)
# Processes per worker that read documents and make thumbnails; each may take a core and 1.5 GB.
DOCUMENT_READERS = environment.integer("DOCUMENT_READERS", 2, minimum=1)
# A worker or dispatcher that could make progress and makes none for so long ends itself, to be started again.
STANDSTILL_SECONDS = environment.number("STANDSTILL_SECONDS", 60.0)
# A lane whose oldest due item has waited longer is reported.
LANE_WAIT_SECONDS = environment.number("LANE_WAIT_SECONDS", 60.0)

# --- Providers: alias -> adapter, where, key, model, limits ---------------------------------------

# Keys that staff enters are encrypted with the first of these, and decrypted with any; without one none can be entered.
CREDENTIAL_KEYS = environment.fernet_keys("CREDENTIAL_KEYS")
SANDBOX_URL = environment.text("SANDBOX_URL", f"http://127.0.0.1:{environment.integer('SANDBOX_PORT', 8001)}")
DEFAULT_CHAT_PROVIDER = environment.text("DEFAULT_CHAT_PROVIDER", "openai-gpt-5")
DEFAULT_IMAGE_PROVIDER = environment.text("DEFAULT_IMAGE_PROVIDER", "openai-images")
DEFAULT_SMS_PROVIDER = environment.text("DEFAULT_SMS_PROVIDER", "twilio")
# Users are charged so many times what providers ask, in fast and in economy mode.
COST_MARKUP = environment.decimal("COST_MARKUP", "2")
# In production every one of these needs its key: name those that are used.
PROVIDERS = environment.selection("PROVIDERS", KNOWN_PROVIDERS)
for _alias, _prices in environment.document("PROVIDER_PRICES").items():
    if _alias not in KNOWN_PROVIDERS:
        raise ImproperlyConfigured(f"PROVIDER_PRICES names {_alias}; known are {', '.join(KNOWN_PROVIDERS)}.")
    if _alias in PROVIDERS:
        PROVIDERS[_alias] = {**PROVIDERS[_alias], "prices": _prices}
