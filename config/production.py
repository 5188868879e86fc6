"""Served to customers: every secret is given and strong, every connection is HTTPS."""

REQUIRE_STRONG_SECRETS = True
REQUIRE_HTTPS = True
