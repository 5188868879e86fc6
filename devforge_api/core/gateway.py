"""What happens around every request, in order: occasion, HTTPS, limits and token, view, headers.

Errors of all kinds leave here in one envelope.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, g, request
from flask.globals import request_ctx
from flask_compress import Compress
from flask_cors import CORS
from marshmallow import ValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from devforge_api.core import metrics, security
from devforge_api.core.application import Answer
from devforge_api.core.context import Occasion, occasion, set_occasion
from devforge_api.core.db import uuid7
from devforge_api.core.errors import (
    DomainError,
    EditConflict,
    Forbidden,
    HttpsRequired,
    MalformedRequest,
    TokenInvalid,
    TokenMissing,
    TokenRefused,
    Unavailable,
    ValidationFailed,
)
from devforge_api.core.headers import LAST_HEADERS, LastHeaders, last_headers
from devforge_api.core.json import dump
from devforge_api.core.limits import Budget, Limit, address_key, charge
from devforge_api.core.responses import add_entity_tag

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Dialect = Callable[[dict[str, Any], int], Response | None]
log = logging.getLogger(__name__)
compress = Compress()

# The rest is for a browser's own pages, or for no browser at all.
CORS_PATHS = [r"/api/.*", r"/oauth/(?:token|revoke|device_authorization)\Z", r"/\.well-known/.*"]
_CORS_PATH = re.compile("|".join(CORS_PATHS))
CORS_REQUEST_HEADERS = [
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID",
    "X-Request-ID",
]  # fmt: skip
CORS_ANSWER_HEADERS = [
    "Content-Disposition", "Content-Range", "Deprecation", "ETag", "Idempotent-Replayed", "Location",
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "Sunset", "X-Request-ID",
]  # fmt: skip
KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
CARRIED = "devforge.carried"
PROBES = {"/health", "/ready", "/metrics"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*")
# What HTTP itself refuses, in our words; others keep the status's own name.
HTTP_CODES = {
    400: "MALFORMED_REQUEST",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
}
HTTP_MESSAGES = {
    404: "There is no such address.",
    405: "This address does not take this method.",
    413: "The body is larger than is read here.",
    500: "Something went wrong on our side; the request id helps us to find it.",
}
# SQLSTATEs of a database that is away, which psycopg takes for internal errors: 25006 by a standby,
# or a primary that has been demoted; 25P03 to a transaction that idled too long.
AWAY_STATES = {"25006", "25P03"}


def init_app(app: Flask) -> None:
    """Install the hooks, the error handlers and CORS."""
    app.before_request(_open)
    app.after_request(_close)
    app.register_error_handler(DomainError, refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(ValidationError, _refuse_invalid)
    app.register_error_handler(StaleDataError, lambda _: refuse(EditConflict()))
    app.register_error_handler(DBAPIError, _refuse_database)
    app.register_error_handler(PoolTimeout, lambda _: refuse(Unavailable(1)))
    app.register_error_handler(Exception, _refuse_unexpected)
    compress.init_app(app)
    if origins := app.config["CORS_ORIGINS"]:
        CORS(
            app,
            resources={path: {} for path in CORS_PATHS},
            # Escaped: the extension takes a string with brackets, as of IPv6, for a pattern.
            origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins],
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_ANSWER_HEADERS,
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            max_age=600,
        )
    app.wsgi_app = LastHeaders(app.wsgi_app)  # type: ignore[method-assign]


def trust_proxies(app: Flask) -> None:
    """Take the client's address and scheme from the proxies, around all that is installed."""
    if hops := app.config["TRUSTED_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Carried:
    """A request that a hot route has admitted and run, and whose answer is left to Flask.

    :param began: by ``time.perf_counter``.
    :param outcome: the body of its 200, or what was raised.
    """

    began: float
    occasion: Occasion
    budget: Budget | None
    outcome: bytes | Exception


def begin(environ: WSGIEnvironment) -> Occasion:
    """Make the request the occasion under way."""
    given = environ.get("HTTP_X_REQUEST_ID")
    request_id = given if given and _REQUEST_ID.fullmatch(given) else uuid7().hex
    user_agent = environ.get("HTTP_USER_AGENT", "")[:255] or None
    now = Occasion("request", request_id, environ.get("REMOTE_ADDR"), user_agent)
    set_occasion(now)
    return now


def _open() -> Response | None:
    now = request_ctx.request
    if (carried := now.environ.get(CARRIED)) is not None:
        return _go_on(carried)
    g.began = time.perf_counter()
    begin(now.environ)
    if now.method == "OPTIONS" or now.path in PROBES:
        return None
    if current_app.config["REQUIRE_HTTPS"] and not now.is_secure:
        raise HttpsRequired
    access = security.access_of(now)
    if access is not None or now.path.startswith(security.DECLARED):
        admit(now.environ, access)
    if b"%00" in now.query_string:
        raise MalformedRequest("The address holds a NUL character.")
    return None


def _go_on(carried: Carried) -> Response:
    """Answer what has been admitted and run already."""
    g.began, g.rate_budget = carried.began, carried.budget
    set_occasion(carried.occasion)
    if isinstance(carried.outcome, Exception):
        raise carried.outcome
    return Answer(carried.outcome, mimetype="application/json")


def admit(environ: WSGIEnvironment, access: security.Access | None) -> None:
    """Charge the request to its user or its address, and let the principal in.

    A rejected token or an unknown path is charged to the address, so that guessing is limited.
    :param access: what the route asks for; None: there is no such route.
    :raises DomainError: the token, the budget, the scope or the proof does not suffice.
    """
    address = address_key(environ.get("REMOTE_ADDR"))
    if access is None:
        charge(Limit.ANONYMOUS, address)
        return
    if access.scope is None:
        charge(access.limit, address)
        return
    try:
        principal = security.admit_ticket(environ, access) or security.admit(bearer_token(environ))
    except TokenRefused:
        charge(Limit.ANONYMOUS, address)
        raise
    occasion().principal = principal
    if access.scope not in principal.scopes:
        raise Forbidden(None, scope=access.scope)
    if access.step_up:
        security.insist_on_proof(principal, access.step_up)


def bearer_token(environ: WSGIEnvironment) -> str:
    """The token of the Authorization header; the scheme's case does not matter (RFC 9110 11.1).

    :raises TokenMissing: no header. :raises TokenInvalid: another scheme, or a strange form.
    """
    header = environ.get("HTTP_AUTHORIZATION", "").strip()
    if not header:
        raise TokenMissing
    scheme, _, token = header.partition(" ")
    if scheme.casefold() != "bearer" or not _TOKEN.fullmatch(token.strip()):
        raise TokenInvalid
    return str(token).strip()


def _close(response: Response) -> Response:
    now = request_ctx.request
    config, headers = current_app.config, response.headers
    below_api = now.path.startswith("/api/")
    if below_api or now.path in PROBES:
        add_entity_tag(response)
    if g.get("carries_secret"):
        headers["Cache-Control"] = "no-store"
    elif response.is_streamed or len(response.get_data()) >= config["COMPRESS_MIN_SIZE"]:
        compress.after_request(response)
    if below_api:
        headers.setdefault("Cache-Control", "no-store")
    if config["CORS_ORIGINS"] and _CORS_PATH.match(now.path):
        response.vary.add("Origin")  # also on what another origin got, or a cache would mix them up
    now.environ[LAST_HEADERS] = last_headers(require_https=config["REQUIRE_HTTPS"])
    route = now.url_rule.rule if now.url_rule else "(unknown)"
    began = g.get("began", time.perf_counter())
    record(now.method, route, response.status_code, began, now.remote_addr)
    return response


def record(method: str, route: str, status: int, began: float, address: str | None) -> None:
    """Count and log one answered request.

    :param route: the rule, never the path. :param began: by ``time.perf_counter``.
    """
    seconds = time.perf_counter() - began
    method = method if method in KNOWN_METHODS else "OTHER"  # a label must be bounded
    metrics.observe(method, route, status, seconds)
    log.info(
        "request",
        extra={
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "address": address,
        },
    )


def refuse(error: DomainError) -> Response:
    """A refusal in the envelope."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, ValidationFailed):
        body["field"], body["details"] = error.details[0]["field"], error.details
    elif error.field:
        body["field"] = error.field
    if error.params:
        body["params"] = error.params
    return _envelope(body, error.status, error.headers())


def install_dialect(app: Flask, prefixes: tuple[str, ...], speak: Dialect) -> None:
    """Tell how refusals are worded below these paths: a foreign protocol's clients read no envelope.

    :param speak: gives the refusal's answer from the envelope's error and the status, or None where
        the envelope itself will do.
    """
    app.extensions.setdefault("devforge-dialects", []).append((prefixes, speak))


def _envelope(body: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    body["request_id"] = occasion().request_id
    response: Response | None = None
    for prefixes, speak in current_app.extensions.get("devforge-dialects", ()):
        if request.path.startswith(prefixes):
            response = speak(body, status)
            break
    if response is None:
        response = Response(dump({"success": False, "error": body}), status, mimetype="application/json")
    response.headers.update(headers or {})
    response.headers["Cache-Control"] = "no-store"
    return response


def _refuse_http(error: HTTPException) -> Response:
    if error.response is not None and not isinstance(error, MethodNotAllowed):
        return error.response  # type: ignore[return-value]
    status = error.code or 500
    messages = getattr(error, "data", {}).get("messages")
    if status == 422 and messages:
        return refuse(ValidationFailed(_details(messages)))
    if status < 400:  # a redirect by the router
        return error.get_response()  # type: ignore[return-value]
    code = code_of_status(status)
    message = HTTP_MESSAGES.get(status) or (error.description or HTTPStatus(status).phrase)
    kept = {"Allow", "Retry-After", "WWW-Authenticate"}
    headers = {name: value for name, value in error.get_headers() if name in kept}
    return _envelope({"code": code, "message": message}, status, headers)


def code_of_status(status: int) -> str:
    """The error code of what HTTP itself refuses."""
    return HTTP_CODES.get(status) or re.sub(r"[^A-Z]+", "_", HTTPStatus(status).phrase.upper())


def _refuse_invalid(error: ValidationError) -> Response:
    return refuse(ValidationFailed(_details({"json": error.messages})))


def _details(messages: dict[str, Any]) -> list[dict[str, str]]:
    """Marshmallow's nested messages as a flat list, fields named like ``items.0.price_id``."""
    found: list[dict[str, str]] = []

    def walk(path: str, node: Any) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                part = "" if name == "_schema" else str(name)[:100]
                walk(".".join(filter(None, (path, part))), child)
        else:
            for message in node if isinstance(node, list) else [node]:
                found.append({"field": path, "code": _detail_code(str(message)), "message": str(message)})

    for place in messages.values():  # "json", "query"
        walk("", place)
    return found


def _detail_code(message: str) -> str:
    known = {"Unknown field.": "UNKNOWN_FIELD", "Missing data for required field.": "REQUIRED"}
    return known.get(message, "INVALID")


def _refuse_database(error: DBAPIError) -> Response:
    """A database that is away, full, locked or that refuses a value; never the driver's words."""
    if isinstance(error, DataError):
        log.warning("the database refused a value", exc_info=error)
        return refuse(MalformedRequest("A value cannot be stored."))
    away = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    if away or getattr(error.orig, "sqlstate", None) in AWAY_STATES:
        log.error("the database is not available", exc_info=error)
        return refuse(Unavailable(2))
    return _refuse_unexpected(error)


def _refuse_unexpected(error: Exception) -> Response:
    log.error("unhandled error", exc_info=error)
    return _envelope({"code": "INTERNAL_ERROR", "message": HTTP_MESSAGES[500]}, 500)
