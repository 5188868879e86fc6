"""Refusals about signing in."""

from devforge_api.core.errors import DomainError, NotFound


class InvalidCredentials(DomainError):
    """Address or password is wrong."""

    status, code = 401, "INVALID_CREDENTIALS"

    def headers(self) -> dict[str, str]:
        """Every 401 names a way to authenticate (RFC 9110 section 15.5.2)."""
        return {"WWW-Authenticate": 'Bearer realm="dev-forge"'}


class AccountDisabled(DomainError):
    """This account is disabled; ask support."""

    status, code = 403, "ACCOUNT_DISABLED"


class EmailNotVerified(DomainError):
    """Verify the address first."""

    status, code = 403, "EMAIL_NOT_VERIFIED"


class OneTimeTokenInvalid(DomainError):
    """This link or code was used, has expired, or is not one of ours; ask for a new one."""

    status, code = 410, "ONE_TIME_TOKEN_INVALID"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "SESSION_NOT_FOUND"
