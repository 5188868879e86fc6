"""Defaults that hold in every environment, as plain attributes.

What an operator may change is named in `config/settings.py`; its default stands here or in the
environment's own module, under the setting's key.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from config.providers import ProviderSettings

API_TITLE = "Dev Forge API"
API_VERSION = "v1"
OPENAPI_VERSION = "3.1.0"
OPENAPI_URL_PREFIX = "/"
OPENAPI_JSON_PATH = "api/v1/openapi.json"
OPENAPI_SWAGGER_UI_PATH = "docs"
OPENAPI_SWAGGER_UI_URL = "/docs/assets/"

# --- what the settings table may override -------------------------------------------------------
DATABASE_URL: str | None = None  # None: a SQLite file in the data folder
DATABASE_POOL_SIZE = 10
REDIS_URL: str | None = None
CELERY_BROKER_URL: str | None = None
SECRET_KEYS: tuple[str, ...] = ()
MASTER_KEYS: tuple[str, ...] = ()
DATA_DIR = "data"
HOST = "127.0.0.1"
PORT = 8000
PUBLIC_URL: str | None = None  # None: the address served
SERVER = "granian"
WEB_WORKERS = 1
WEB_THREADS = 4
TRUSTED_PROXIES = 0
CORS_ORIGINS: tuple[str, ...] = ()
MAX_BODY_BYTES = 1024 * 1024
EMAIL_VERIFICATION = "off"
TERMS_VERSION: str | None = None
MAIL_URL: str | None = None  # None: .eml files in the data folder
MAIL_FROM = "Dev Forge <no-reply@localhost>"
ACCOUNT_PAGES_URL: str | None = None  # None: the built-in pages below PUBLIC_URL
OAUTH_CLIENTS: tuple[dict[str, Any], ...] = ()
IDENTITY_PROVIDERS: Mapping[str, ProviderSettings] = {}
SIGN_IN_REDIRECTS: tuple[str, ...] = ()
BILLING_PROVIDER = "none"
BILLING_RETURN_URLS: tuple[str, ...] = ()
BILLING_GRACE_DAYS = 7
STRIPE_SECRET_KEY: str | None = None
STRIPE_WEBHOOK_SECRETS: tuple[str, ...] = ()
STRIPE_API_BASE: str | None = None
STORAGE_URL: str | None = None  # None: a folder in the data folder
S3_ENDPOINT: str | None = None
S3_REGION = "us-east-1"
S3_ACCESS_KEY_ID: str | None = None
S3_SECRET_ACCESS_KEY: str | None = None
FILE_SCANNER: str | None = None
MAX_UPLOAD_BYTES = 25 * 1024 * 1024
FILES_QUOTA_BYTES = 1024 * 1024 * 1024
REALTIME_URL: str | None = None  # None: PUBLIC_URL's host, with REALTIME_PORT
REALTIME_PORT: int | None = None  # None: the one after PORT
REALTIME_CONNECTIONS = 5000
LOCAL_DESTINATIONS = "refused"
COMMON_PASSWORDS_FILE: str | None = None
METRICS_TOKEN: str | None = None
LOG_LEVEL = "INFO"
LIMIT_ANONYMOUS = 300
LIMIT_USER = 1200
LIMIT_CREDENTIALS = 60
LIMIT_ACCOUNT_FAILURES = 10
LIMIT_SESSION_REFRESH = 60
LIMIT_EXPORTS = 3
LIMIT_DEVICE_CODES = 10
LIMIT_WEBHOOKS = 6000

# --- what only the code decides -----------------------------------------------------------------
DATABASE_POOL_SECONDS = 5.0  # for which a request waits for one of the process's connections
SQLITE_BUSY_SECONDS = 10.0  # for which a writer waits for another one
REQUIRE_STRONG_SECRETS = False
REQUIRE_HTTPS = False
HOT_ROUTES = True  # False: every request goes through Flask, to compare (core/hot.py)

JWT_ALGORITHM = "EdDSA"
JWT_DECODE_ALGORITHMS = ["EdDSA"]
JWT_ACCESS_TOKEN_EXPIRES = timedelta(minutes=15)
# With a random CSRF claim the successor of a refresh token could not be issued again unchanged.
JWT_COOKIE_CSRF_PROTECT = False
JWT_TOKEN_LOCATION = ["headers"]
JWT_ENCODE_ISSUER = JWT_DECODE_ISSUER = "dev-forge"
JWT_ENCODE_AUDIENCE = JWT_DECODE_AUDIENCE = "dev-forge-api"

OUTBOX_LEASE = timedelta(seconds=60)
MAIL_SECONDS = 15.0  # for one letter; well below half of the lease
OUTBOUND_SECONDS = 15.0  # for one call to an address that a user gave; below half of the lease, too
OUTBOX_POLL_SECONDS = 1.0
OUTBOX_MAX_ATTEMPTS = 12
OUTBOX_KEEP_DELIVERED = timedelta(days=7)
JOB_LAG_LIMIT = timedelta(minutes=5)

# Flask-Compress is called by core/gateway.py, which leaves out answers that carry secrets.
COMPRESS_REGISTER = False
COMPRESS_STREAMS = False  # files are sent as they are, and closed by the server
COMPRESS_MIN_SIZE = 1024
COMPRESS_MIMETYPES = [
    "application/json",
    "text/html",
    "text/css",
    "text/javascript",
    "application/javascript",
]
COMPRESS_ALGORITHM = ["br", "gzip"]
COMPRESS_BR_LEVEL = 4
