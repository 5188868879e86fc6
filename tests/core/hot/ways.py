"""What the tests of hot routes share beside their fixtures."""

V, R = "/api/v1/licenses/validate", "/api/v1/auth/me"
ID = "the-same-request"


def used(answer):
    """How often the budget has been charged."""
    return int(answer.headers["RateLimit-Limit"]) - int(answer.headers["RateLimit-Remaining"])
