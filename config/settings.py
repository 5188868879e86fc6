"""The one table of settings that come from the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config.billing import read_return_urls, read_webhook_secrets
from config.clients import read_clients
from config.files import read_scanner, read_storage_url
from config.providers import read_providers, read_redirects
from config.readers import (
    integer,
    one_of,
    read_database_url,
    read_file,
    read_mail_url,
    read_mailbox,
    read_origins,
    read_redis_url,
    read_secrets,
    read_text,
    read_url,
    word,
)

PREFIX = "DEVFORGE_"
ENVIRONMENTS = ("development", "testing", "staging", "production")


class SettingsError(Exception):
    """The environment does not make a usable configuration; the message says what to change."""


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    :param name: without the prefix, as in ``DEVFORGE_<name>``.
    :param key: the configuration key that it sets.
    :param read: turns the text into the value; raises ``ValueError`` with the reason.
    :param secret: may also be given as ``…_FILE``, and is never printed.
    :param long: may also be given as ``…_FILE``.
    """

    name: str
    key: str
    read: Callable[[str], Any]
    help: str
    secret: bool = False
    long: bool = False

    @property
    def variable(self) -> str:
        """The environment variable's whole name."""
        return PREFIX + self.name

    @property
    def has_file(self) -> bool:
        """Whether ``…_FILE`` may name a file to read it from."""
        return self.secret or self.long


_PER_MINUTE = integer(1, 100_000_000)

SETTINGS: tuple[Setting, ...] = (
    Setting("ENV", "ENV", one_of(*ENVIRONMENTS), "Which module of config/ holds the defaults."),
    Setting(
        "DATABASE_URL",
        "DATABASE_URL",
        read_database_url,
        "PostgreSQL 15 or newer, or SQLite. Unset: devforge.sqlite3 in the data folder.",
        secret=True,
    ),
    Setting(
        "DATABASE_POOL_SIZE",
        "DATABASE_POOL_SIZE",
        integer(1, 500),
        "Connections that one process keeps open.",
    ),
    Setting(
        "REDIS_URL",
        "REDIS_URL",
        read_redis_url,
        "Shared limits and revocations. Unset: kept in the process and the database, one web process.",
        secret=True,
    ),
    Setting(
        "CELERY_BROKER_URL",
        "CELERY_BROKER_URL",
        read_redis_url,
        "Redis that hands events to `flask worker`. Unset: a thread of the web process delivers them.",
        secret=True,
    ),
    Setting(
        "SECRET_KEY",
        "SECRET_KEYS",
        read_secrets,
        "Signs cursors and device tokens. At least 32 characters; `new,old` while it is rotated.",
        secret=True,
    ),
    Setting(
        "MASTER_KEY",
        "MASTER_KEYS",
        read_secrets,
        "Encrypts secrets in the database. At least 32 characters; `new,old` while it is rotated.",
        secret=True,
    ),
    Setting("DATA_DIR", "DATA_DIR", read_text, "Folder for the SQLite file, files and development secrets."),
    Setting("HOST", "HOST", read_text, "Address to listen on."),
    Setting("PORT", "PORT", integer(1, 65535), "Port to listen on."),
    Setting(
        "PUBLIC_URL",
        "PUBLIC_URL",
        read_url,
        "Address that users see; links are made from it. Unset: the address served.",
    ),
    Setting("SERVER", "SERVER", one_of("granian", "gunicorn"), "The WSGI server of `flask serve`."),
    Setting("WEB_WORKERS", "WEB_WORKERS", integer(1, 64), "Web processes; more than one needs Redis."),
    Setting("WEB_THREADS", "WEB_THREADS", integer(1, 256), "Threads that serve requests in one process."),
    Setting(
        "TRUSTED_PROXIES",
        "TRUSTED_PROXIES",
        integer(0, 10),
        "How many proxies in front set X-Forwarded-For; too high lets clients choose their address.",
    ),
    Setting(
        "CORS_ORIGINS", "CORS_ORIGINS", read_origins, "Origins, comma-separated, that browsers may call from."
    ),
    Setting("MAX_BODY_BYTES", "MAX_BODY_BYTES", integer(1024, 1 << 30), "Largest JSON body that is read."),
    Setting(
        "EMAIL_VERIFICATION",
        "EMAIL_VERIFICATION",
        one_of("off", "required"),
        "Whether an address must be verified before its owner can sign in.",
    ),
    Setting(
        "TERMS_VERSION",
        "TERMS_VERSION",
        word(64),
        "Of the terms that registering accepts, such as 2026-01. Unset: nothing is asked.",
    ),
    Setting(
        "MAIL_URL",
        "MAIL_URL",
        read_mail_url,
        "Mail server: `smtps://user:password@host:465`, `smtp://…:587` (STARTTLS insisted on), or "
        "`smtp+plain://host:25` on a trusted network. Unset: .eml files in the data folder.",
        secret=True,
    ),
    Setting("MAIL_FROM", "MAIL_FROM", read_mailbox, "Whom letters are from."),
    Setting(
        "ACCOUNT_PAGES_URL",
        "ACCOUNT_PAGES_URL",
        read_url,
        "Where links in letters lead: `…/verify`, `…/reset`, `…/email-change`. Unset: the built-in pages.",
    ),
    Setting(
        "OAUTH_CLIENTS",
        "OAUTH_CLIENTS",
        read_clients,
        "More applications that people may sign in to, as JSON, also by `…_FILE`: "
        "[native-sign-in.md](native-sign-in.md).",
        long=True,
    ),
    Setting(
        "IDENTITY_PROVIDERS",
        "IDENTITY_PROVIDERS",
        read_providers,
        "JSON: who else may vouch for users. See [social-sign-in.md](social-sign-in.md).",
        secret=True,
    ),
    Setting(
        "SIGN_IN_REDIRECTS",
        "SIGN_IN_REDIRECTS",
        read_redirects,
        "Exact addresses, comma-separated, to which sign-in by a provider may return.",
    ),
    Setting(
        "BILLING_PROVIDER",
        "BILLING_PROVIDER",
        one_of("none", "test", "stripe"),
        "What new orders are paid with; `test` is a page of this server, refused in staging and production.",
    ),
    Setting(
        "BILLING_RETURN_URLS",
        "BILLING_RETURN_URLS",
        read_return_urls,
        "Origins and apps' schemes, comma-separated, that a checkout may return to beside PUBLIC_URL's.",
    ),
    Setting(
        "BILLING_GRACE_DAYS",
        "BILLING_GRACE_DAYS",
        integer(0, 60),
        "Days that a licence works on after a subscription's payment has failed.",
    ),
    Setting(
        "STRIPE_SECRET_KEY",
        "STRIPE_SECRET_KEY",
        word(255),
        "Of Stripe's API, best a restricted one.",
        secret=True,
    ),
    Setting(
        "STRIPE_WEBHOOK_SECRET",
        "STRIPE_WEBHOOK_SECRETS",
        read_webhook_secrets,
        "What Stripe signs its webhooks with; `new,old` while it is rotated.",
        secret=True,
    ),
    Setting(
        "STRIPE_API_BASE",
        "STRIPE_API_BASE",
        read_url,
        "Another address of Stripe's API. Unset: Stripe's own.",
    ),
    Setting(
        "STORAGE_URL",
        "STORAGE_URL",
        read_storage_url,
        "Where contents of files are: `s3://bucket` or `s3://bucket/prefix`. Unset: in the data folder.",
    ),
    Setting("S3_ENDPOINT", "S3_ENDPOINT", read_url, "Another address of S3's API. Unset: Amazon's own."),
    Setting("S3_REGION", "S3_REGION", word(64), "The bucket's region."),
    Setting(
        "S3_ACCESS_KEY_ID",
        "S3_ACCESS_KEY_ID",
        word(255),
        "Unset: the machine's own role.",
        secret=True,
    ),
    Setting(
        "S3_SECRET_ACCESS_KEY",
        "S3_SECRET_ACCESS_KEY",
        word(255),
        "Goes with the key's id.",
        secret=True,
    ),
    Setting(
        "FILE_SCANNER",
        "FILE_SCANNER",
        read_scanner,
        "ClamAV's daemon, `clamd://host:3310` or `clamd+unix:///path`: no file is given away unscanned. "
        "Unset: nothing is scanned.",
    ),
    Setting("MAX_UPLOAD_BYTES", "MAX_UPLOAD_BYTES", integer(1024, 5 << 30), "Largest file that is taken."),
    Setting(
        "FILES_QUOTA_BYTES", "FILES_QUOTA_BYTES", integer(0, 1 << 50), "Bytes of files that a user may keep."
    ),
    Setting(
        "REALTIME_URL",
        "REALTIME_URL",
        read_url,
        "Address of `flask realtime` that users see. Unset: PUBLIC_URL's host, with REALTIME_PORT.",
    ),
    Setting(
        "REALTIME_PORT",
        "REALTIME_PORT",
        integer(1, 65535),
        "Port of `flask realtime`. Unset: the one after PORT.",
    ),
    Setting(
        "REALTIME_CONNECTIONS",
        "REALTIME_CONNECTIONS",
        integer(1, 1_000_000),
        "Open streams that one realtime process takes.",
    ),
    Setting(
        "LOCAL_DESTINATIONS",
        "LOCAL_DESTINATIONS",
        one_of("refused", "loopback"),
        "`loopback`: webhooks and push messages may go to this machine, also by http; for development alone.",
    ),
    Setting(
        "COMMON_PASSWORDS_FILE",
        "COMMON_PASSWORDS_FILE",
        read_file,
        "A larger list of refused passwords, one a line.",
    ),
    Setting(
        "METRICS_TOKEN",
        "METRICS_TOKEN",
        read_text,
        "Bearer token for /metrics; unset, /metrics is not served in staging and production.",
        secret=True,
    ),
    Setting("LOG_LEVEL", "LOG_LEVEL", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "Least level logged."),
    Setting("LIMIT_ANONYMOUS", "LIMIT_ANONYMOUS", _PER_MINUTE, "Requests a minute from one address."),
    Setting("LIMIT_USER", "LIMIT_USER", _PER_MINUTE, "Requests a minute of one signed-in user."),
    Setting(
        "LIMIT_CREDENTIALS",
        "LIMIT_CREDENTIALS",
        _PER_MINUTE,
        "Requests a minute from one address to routes that take a password.",
    ),
    Setting(
        "LIMIT_ACCOUNT_FAILURES",
        "LIMIT_ACCOUNT_FAILURES",
        _PER_MINUTE,
        "Failed sign-ins a minute to one account, from known devices and from elsewhere each.",
    ),
    Setting(
        "LIMIT_DEVICE_CODES",
        "LIMIT_DEVICE_CODES",
        _PER_MINUTE,
        "Device codes a minute that one address, or one session, may type.",
    ),
    Setting(
        "LIMIT_SESSION_REFRESH", "LIMIT_SESSION_REFRESH", _PER_MINUTE, "Refreshes a minute of one session."
    ),
    Setting(
        "LIMIT_WEBHOOKS",
        "LIMIT_WEBHOOKS",
        _PER_MINUTE,
        "Events a minute that one address may tell of: payment providers come in bursts.",
    ),
    Setting("LIMIT_EXPORTS", "LIMIT_EXPORTS", _PER_MINUTE, "Exports of personal data a minute for one user."),
)

# Read by the test suite alone; named here so that they are not taken for a misspelt setting.
TEST_ONLY = ("TEST_DATABASE_URL", "TEST_REDIS_URL")
