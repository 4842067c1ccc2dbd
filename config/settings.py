"""Every setting of the product, in Django's own order; values come from the environment (see .env.example)."""

import os
from pathlib import Path
from typing import Any

import environ

from config.devdb import DevDB, database_from_url

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- core ----------------------------------------------------------------------------------------------------------
# Where everything this checkout keeps on a machine lives: embedded database, devnet, demo mailbox. Nothing else is written.
STATE_DIR = Path(env.str("STATE_DIR", default=str(BASE_DIR / ".local"))).resolve()
DEBUG = env.bool("DEBUG", default=False)
DEVELOPMENT_SECRET_KEY = "development-only-key-change-me-in-production"  # noqa: S105 - public on purpose
SECRET_KEY = env.str("SECRET_KEY", default=DEVELOPMENT_SECRET_KEY)  # a check refuses the default beside a DATABASE_URL
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = ["config.console.formats"]  # dates as 2026-03-01 14:05, the same for everyone
ROOT_URLCONF = "config.urls"
SILENCED_SYSTEM_CHECKS = [
    "urls.W002"
]  # the API's paths end without a slash, so what is included under a prefix begins with one
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- applications --------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "config.apps.WiringConfig",
    "jobs",  # before django_q: its qcluster command wraps the original
    "notifications",
    "bonds",
    "yields",
    "maturity",
    "config.console.apps.ConsoleAdminConfig",  # django.contrib.admin with our site as the default one
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_q",
    "rest_framework",
    "django_filters",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
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
    }
]

# --- database ------------------------------------------------------------------------------------------------------
# DATABASE_URL unset: a private PostgreSQL in STATE_DIR, started on the first connection (config/devdb).
DEVDB = DevDB(STATE_DIR, autostart=env.bool("DEVDB_AUTOSTART", default=True))
database_url = env.str("DATABASE_URL", default="")  # lower case: it may hold a password, so it is no setting
DATABASE_IS_GIVEN = bool(database_url)
DATABASES = {
    "default": database_from_url(database_url)
    if database_url
    else DEVDB.settings(name=env.str("DEVDB_NAME", default="bonds"))
}
DATABASES["default"].setdefault("CONN_MAX_AGE", 0)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- people --------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/console/login/"
AXES_FAILURE_LIMIT = env.int("AXES_FAILURE_LIMIT", default=5)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # never a whole office by its address alone
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "config.errors.locked_out"
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
SESSION_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=False)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- static files --------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "config" / "console" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- API -----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "config.console.openapi.RoomSchema",
    "EXCEPTION_HANDLER": "config.errors.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Bond back office",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "ResolutionEnum": "jobs.states.Resolution",
        "JobStatusEnum": "jobs.states.Status",
        "BondStatusEnum": "bonds.models.bond.BondStatus",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.console.openapi.document_errors",
    ],
}

# --- mail ----------------------------------------------------------------------------------------------------------
# EMAIL_URL: smtp://user:password@host:587/?tls=true in production; unset: one file per mail in STATE_DIR/mail, shown in the console.
MAILBOX_DIR = Path(env.str("MAILBOX_DIR", default=str(STATE_DIR / "mail")))
if os.environ.get("EMAIL_URL"):
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(MAILBOX_DIR)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Bond servicing <servicing@example.com>")

# --- jobs ----------------------------------------------------------------------------------------------------------
JOB_SERVICES = [
    "bonds.service.BondsService",
    "maturity.service.MaturityService",
    "yields.service.YieldsService",
    "notifications.service.NotificationsService",
    "jobs.operations.OperationsService",
]
JOB_WORKER_SERVICES = env.list("JOB_WORKER_SERVICES", default=[])  # names; empty: all of them
JOB_CONTEXT_FACTORY = "config.context.build"  # what every handler is given: chain gateway, mailer, clock
JOB_CONCURRENCY = env.int("JOB_CONCURRENCY", default=4)
JOB_LEASE_SECONDS = env.float("JOB_LEASE_SECONDS", default=20.0)
JOB_HEARTBEAT_SECONDS = env.float("JOB_HEARTBEAT_SECONDS", default=5.0)
JOB_RESCUE_SECONDS = env.float("JOB_RESCUE_SECONDS", default=5.0)
JOB_SLICE_SECONDS = env.float("JOB_SLICE_SECONDS", default=2.0)
JOB_GRACE_SECONDS = env.float("JOB_GRACE_SECONDS", default=20.0)
JOB_MAX_RETRIES = env.int("JOB_MAX_RETRIES", default=5)
JOB_RETRY_BASE_SECONDS = env.float("JOB_RETRY_BASE_SECONDS", default=2.0)
JOB_RETRY_MAX_SECONDS = env.float("JOB_RETRY_MAX_SECONDS", default=3600.0)
JOB_RESCUE_LIMIT = env.int("JOB_RESCUE_LIMIT", default=3)  # a job whose worker was lost this often is a dead letter
JOB_PACKAGE_SIZE = env.int("JOB_PACKAGE_SIZE", default=20)  # rows of a quick type per claim
# Workers at once, in all clusters together: {"type:email_notification": 2, "service:NotificationsService": 3}
JOB_LIMITS: dict[str, int] = {}
# By name, beside those the services declare: the fields of jobs.service.Schedule.
JOB_SCHEDULES: dict[str, dict[str, Any]] = {}
JOB_POLL_SECONDS = env.float("JOB_POLL_SECONDS", default=1.0)  # how late a snoozed or a silently enqueued job may start
JOB_LISTEN = env.bool("JOB_LISTEN", default=True)  # off behind PgBouncer in transaction mode: polling alone
JOB_PREPARE = env.bool("JOB_PREPARE", default=True)  # off behind PgBouncer in transaction mode: the session is not ours
JOB_WATCHDOG_SECONDS = env.float(
    "JOB_WATCHDOG_SECONDS", default=60.0
)  # no slice anywhere for so long: the cluster ends itself
JOB_UNKNOWN_TYPE_SECONDS = env.float("JOB_UNKNOWN_TYPE_SECONDS", default=60.0)  # a newer release may be rolling out
JOB_RETENTION_DAYS = env.float("JOB_RETENTION_DAYS", default=30.0)  # completed jobs only
Q_CLUSTER = {
    "name": "bonds",
    "broker_class": "jobs.broker.JobQueueBroker",
    "workers": JOB_CONCURRENCY,
    "queue_limit": 1,  # the bounded put of one token is the throttle
    "timeout": 86_000,  # never in force: a slice runs many jobs, so each token says -1 and each job has its own timer
    "retry": 86_400,  # above timeout, or Django-Q2 warns; nothing is ever redelivered
    "save_limit": -1,  # no result row on success: job_queue is the record
    "ack_failures": True,
    "recycle": 5000,  # slices, so hours
    "max_rss": 400_000,  # KB at its highest; checked after each slice
    "catch_up": False,
    "log_level": "WARNING",
    "label": "Schedules",
}

# --- chain ---------------------------------------------------------------------------------------------------------
# One node, or several separated by commas. Unset: the devnet of this checkout, at the address its state directory names.
CHAIN_ENDPOINTS = env.list("CHAIN_ENDPOINTS", default=["127.0.0.1:20000"])
CHAIN_TLS = env.bool("CHAIN_TLS", default=False)
CHAIN_GENESIS_HASH = env.str("CHAIN_GENESIS_HASH", default="")  # set: a node of another network is refused
CHAIN_TIMEOUT_SECONDS = env.float("CHAIN_TIMEOUT_SECONDS", default=10.0)
CHAIN_MAX_BEHIND_SECONDS = env.float(
    "CHAIN_MAX_BEHIND_SECONDS", default=120.0
)  # a node whose last final block is older is no answer
# "<module reference>=<interface>", separated by commas: how the events and views of contracts of that module are read. Interfaces:
# security_sft_multi, security_mint_fund, rwa_identity_registry, address_state_registry. Unset: the devnet's contracts. Events of a
# module that is not named are parked for a person, never guessed at.
CHAIN_MODULES = env.list("CHAIN_MODULES", default=[])
# Who signs for the cloud wallet. Keys (JSON) are read at a worker's first signature, from the environment variable CLOUD_WALLET_KEYS where
# it is set, else from the file; never stored or logged, so they are no setting. CLOUD_WALLET_SIGNER instead: the dotted path of a callable
# that gives a bonds.chain.concordium.signer.Signer, such as one in front of an HSM or a key service.
CLOUD_WALLET_SIGNER = env.str("CLOUD_WALLET_SIGNER", default="")
CLOUD_WALLET_KEYS_FILE = env.str("CLOUD_WALLET_KEYS_FILE", default=str(STATE_DIR / "devnet" / "cloud-wallet.json"))
PAYMENT_BATCH_SIZE = env.int("PAYMENT_BATCH_SIZE", default=100)
PAYMENT_EXPIRY_SECONDS = env.int(
    "PAYMENT_EXPIRY_SECONDS", default=300
)  # below the 600 s a node keeps an unincluded transaction
# The most a claim or refund may use: unused energy is not charged, but the wallet must be able to pay for all of it.
CLAIM_ENERGY_PER_CALL = env.int("CLAIM_ENERGY_PER_CALL", default=20_000)
CLAIM_ENERGY_PER_INVESTOR = env.int("CLAIM_ENERGY_PER_INVESTOR", default=15_000)
REGISTRY_READING_MAX_AGE_SECONDS = env.int("REGISTRY_READING_MAX_AGE_SECONDS", default=60)
DEVNET_DIR = STATE_DIR / "devnet"
DEVNET_BLOCK_SECONDS = env.float("DEVNET_BLOCK_SECONDS", default=1.0)

# --- logs ----------------------------------------------------------------------------------------------------------
LOG_FORMAT = env.str("LOG_FORMAT", default="text")  # text | json
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "config.logs.TextFormatter"},
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django-q": {"level": "WARNING"}, "axes": {"level": "WARNING"}},
}
