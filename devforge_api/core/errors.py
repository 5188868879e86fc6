"""Refusals: one class each, with a stable code, its HTTP status and the facts of the case."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A request that cannot be served as it was made.

    A subclass's docstring begins with the sentence that the caller reads. Keyword arguments
    become ``params`` in the answer.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "BAD_REQUEST"
    field: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, /, **params: Any) -> None:
        self.message = message or self.default_message()
        self.params = params
        super().__init__(self.message)

    @classmethod
    def default_message(cls) -> str:
        """The docstring's first paragraph, on one line."""
        return " ".join((cls.__doc__ or cls.__name__).split("\n\n")[0].split())

    def headers(self) -> dict[str, str]:
        """Headers of the answer beside the usual ones."""
        return {}


class MalformedRequest(DomainError):
    """The request cannot be read."""

    status, code = 400, "MALFORMED_REQUEST"


class ValidationFailed(DomainError):
    """Some values are not acceptable; see details."""

    status, code = 422, "VALIDATION_ERROR"

    def __init__(self, details: list[dict[str, str]]) -> None:
        """:param details: ``[{"field", "code", "message"}]``, every invalid field."""
        first = details[0]
        super().__init__(f"{first['field']}: {first['message']}" if first["field"] else first["message"])
        self.details = details

    @classmethod
    def of(cls, field: str, message: str, code: str = "INVALID") -> ValidationFailed:
        """One invalid field."""
        return cls([{"field": field, "code": code, "message": message}])


class NotFound(DomainError):
    """There is no such resource."""

    status, code = 404, "NOT_FOUND"


class Conflict(DomainError):
    """The resource is not in a state that allows this."""

    status, code = 409, "CONFLICT"


class EditConflict(DomainError):
    """Someone else changed this resource at the same moment; read it again."""

    status, code = 409, "EDIT_CONFLICT"


class PreconditionFailed(DomainError):
    """The resource has changed since it was read; read it again."""

    status, code = 412, "PRECONDITION_FAILED"


class RetryLater(DomainError):
    """Base of refusals that pass with time."""

    def __init__(self, retry_after: int, message: str | None = None) -> None:
        """:param retry_after: seconds to wait, at least 1."""
        super().__init__(message, retry_after=max(1, retry_after))

    def headers(self) -> dict[str, str]:
        """``Retry-After`` in seconds (RFC 9110 section 10.2.3)."""
        return {"Retry-After": str(self.params["retry_after"])}


class RateLimited(RetryLater):
    """Too many requests; wait before the next one."""

    status, code = 429, "RATE_LIMITED"


class Unavailable(RetryLater):
    """The service cannot do this at the moment; try again shortly."""

    status, code = 503, "SERVICE_UNAVAILABLE"


class TokenRefused(DomainError):
    """Base of the ways in which a token does not admit."""

    status = 401

    def headers(self) -> dict[str, str]:
        """``WWW-Authenticate`` (RFC 6750 section 3)."""
        if self.code == "TOKEN_MISSING":
            return {"WWW-Authenticate": 'Bearer realm="dev-forge"'}
        return {
            "WWW-Authenticate": f'Bearer realm="dev-forge", error="invalid_token", '
            f'error_description="{self.message}"'
        }


class TokenMissing(TokenRefused):
    """This route needs an access token."""

    code = "TOKEN_MISSING"


class TokenExpired(TokenRefused):
    """The token has expired; refresh it."""

    code = "TOKEN_EXPIRED"


class TokenInvalid(TokenRefused):
    """The token is not one of ours."""

    code = "TOKEN_INVALID"


class TokenRevoked(TokenRefused):
    """The token has been revoked; sign in again."""

    code = "TOKEN_REVOKED"


class Forbidden(DomainError):
    """Your role, or the token that you use, does not allow this."""

    status, code = 403, "FORBIDDEN"


class ReauthRequired(DomainError):
    """Prove once more who you are, then repeat the request."""

    status, code = 403, "REAUTH_REQUIRED"


class HttpsRequired(DomainError):
    """This service is only served over HTTPS."""

    status, code = 403, "HTTPS_REQUIRED"


class IdempotencyKeyReused(DomainError):
    """This idempotency key was used with another request."""

    status, code = 422, "IDEMPOTENCY_KEY_REUSED"
    field = "Idempotency-Key"


class IdempotencyInFlight(RetryLater):
    """The first request with this idempotency key is still being served."""

    status, code = 409, "IDEMPOTENCY_IN_FLIGHT"
