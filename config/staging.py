"""Production's rules on a machine of its own."""

REQUIRE_STRONG_SECRETS = True
REQUIRE_HTTPS = True
