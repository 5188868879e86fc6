"""Refusals of the operator's routes."""

from devforge_api.core.errors import DomainError


class NotReady(DomainError):
    """A part that the server needs is not there; params tell which one."""

    status, code = 503, "NOT_READY"

    def headers(self) -> dict[str, str]:
        """``Retry-After`` in seconds."""
        return {"Retry-After": "5"}


class MetricsTokenMissing(DomainError):
    """Send the metrics token as bearer token."""

    status, code = 401, "METRICS_TOKEN_MISSING"

    def headers(self) -> dict[str, str]:
        """``WWW-Authenticate`` (RFC 9110 section 11.6.1)."""
        return {"WWW-Authenticate": 'Bearer realm="metrics"'}
