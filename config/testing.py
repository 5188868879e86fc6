"""The test suite: the production code paths, with limits raised where a test does not lower them."""

from datetime import timedelta

TESTING = True
BILLING_PROVIDER = "test"
LOG_LEVEL = "WARNING"

LIMIT_ANONYMOUS = LIMIT_USER = LIMIT_CREDENTIALS = LIMIT_SESSION_REFRESH = 1_000_000
LIMIT_DEVICE_CODES = LIMIT_EXPORTS = LIMIT_WEBHOOKS = 1_000_000
OUTBOX_LEASE = timedelta(seconds=2)
OUTBOX_POLL_SECONDS = 0.05
