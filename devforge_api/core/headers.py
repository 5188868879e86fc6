"""The headers that every answer carries, whoever has made it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import g

from devforge_api.core.context import occasion

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from devforge_api.core.limits import Budget

LAST_HEADERS = "devforge.last_headers"
SECURITY_HEADERS = [
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


def last_headers(*, require_https: bool) -> list[tuple[str, str]]:
    """What the present request's answer carries besides its own headers."""
    last = [*SECURITY_HEADERS, ("X-Request-ID", occasion().request_id)]
    if require_https:
        last.append(("Strict-Transport-Security", "max-age=63072000; includeSubDomains"))
    budget: Budget | None = g.get("rate_budget")
    if budget is not None:
        last += [
            ("RateLimit-Limit", str(budget.limit)),
            ("RateLimit-Remaining", str(budget.remaining)),
            ("RateLimit-Reset", str(budget.reset)),
        ]
    return last


class LastHeaders:
    """Adds what every answer carries, unless the view has said it in its own way.

    Here, below Flask: its own headers are looked through, checked and copied one by one, a dozen
    of them for each answer.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            said = {name for name, _ in headers}
            last = environ.get(LAST_HEADERS, ())
            return start_response(status, headers + [one for one in last if one[0] not in said], *exc_info)

        return self._application(environ, start)
