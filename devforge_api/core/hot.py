"""Hot routes: what clients ask for again and again, answered in front of Flask.

A route that is marked `hot` has two ways to the same view. The short one takes a plain request
(`_is_plain`), runs the gateway's own parts around the view, and writes the answer's few headers
itself. Whatever else there is to a request is Flask's from the beginning. A refusal, or an answer
that has to be compressed, is carried over to Flask, which then neither charges nor asks again:
nothing is decided or worded in two ways (docs/decisions/0007-hot-paths.md).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, g
from flask.views import MethodView
from marshmallow import Schema

from devforge_api.core import gateway
from devforge_api.core.headers import last_headers
from devforge_api.core.json import parse
from devforge_api.core.responses import entity_tag, envelope
from devforge_api.core.security import Access

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

View = TypeVar("View", bound=Callable[..., Any])
MARK = "hot"
# One that a router would not look at twice; the others are Flask's to refuse.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,9}")


@dataclass
class Declaration:
    """A hot view, and what its decorators do around it.

    :param outermost: the outermost decorator's function that is known here.
    """

    view: Callable[..., Any]
    outermost: Callable[..., Any]
    body: Schema | None = None
    query: Schema | None = None  # its arguments come after the body's
    shape: Schema | None = None


def hot(view: View) -> View:
    """Answer this route's plain requests in front of Flask. Innermost, right above the view.

    The view gets its loaded body and query, if it declares them, and returns what its 200 is made
    of. It must know no ``flask.request``, open no unit of work and answer no secret.
    """
    view.__dict__[MARK] = Declaration(view, view)
    return view


def note_layer(inner: Callable[..., Any], outer: Callable[..., Any], **found: Schema | None) -> None:
    """For decorators that hot routes know: what this one does around a view."""
    declaration: Declaration | None = getattr(inner, MARK, None)
    if declaration is not None and declaration.outermost is inner:
        declaration.outermost = outer
        for name, schema in found.items():
            setattr(declaration, name, schema)


@dataclass(frozen=True, slots=True)
class Route:
    """What is run for one method at one address."""

    method: str
    rule: str
    access: Access
    view: Callable[..., Any]
    body: Schema | None
    query: Schema | None
    shape: Schema


def init_app(app: Flask) -> None:
    """Put the marked routes in front of Flask. After the registry, before `trust_proxies`."""
    routes = list(routes_of(app))
    if app.config["HOT_ROUTES"]:
        app.wsgi_app = HotRoutes(app, app.wsgi_app, routes)  # type: ignore[method-assign]


def is_complete(declaration: Declaration, function: Callable[..., Any]) -> bool:
    """Whether nothing stands around a marked view but what hot routes run as well."""
    return declaration.outermost is function


def routes_of(app: Flask) -> Iterator[Route]:
    """The marked routes.

    :raises RuntimeError: one of them has a decorator that would be left out.
    """
    access: dict[tuple[str, str], Access] = app.extensions["devforge-access"]
    for rule in app.url_map.iter_rules():
        view_class: type[MethodView] | None = getattr(app.view_functions[rule.endpoint], "view_class", None)
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            function = getattr(view_class, method.lower(), None)
            found: Declaration | None = getattr(function, MARK, None)
            if view_class is None or function is None or found is None:
                continue
            if not is_complete(found, function) or found.shape is None or rule.arguments:
                raise RuntimeError(f"{method} {rule.rule} is more than a body and an answer: not hot")
            view = partial(found.view, view_class())
            admitted = access[rule.endpoint, method]
            yield Route(method, rule.rule, admitted, view, found.body, found.query, found.shape)


class HotRoutes:
    """A WSGI application in front of Flask's."""

    def __init__(self, app: Flask, ordinary: WSGIApplication, routes: list[Route]) -> None:
        self._app = app
        self._ordinary = ordinary
        self._routes = {(route.method, route.rule): route for route in routes}
        self._has_origins = bool(app.config["CORS_ORIGINS"])
        self._require_https: bool = app.config["REQUIRE_HTTPS"]
        self._longest_body: int = app.config["MAX_CONTENT_LENGTH"]
        self._longest_answer: int = app.config["COMPRESS_MIN_SIZE"] - 1

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        route = self._routes.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")))
        if route is None or not self._is_plain(environ):
            return self._ordinary(environ, start_response)
        body = None if route.body is None else self._read(environ)
        if route.body is not None and body is None:
            return self._ordinary(environ, start_response)
        began = time.perf_counter()
        with self._app.app_context():
            now = gateway.begin(environ)
            try:
                gateway.admit(environ, route.access)
                outcome: bytes | Exception = _answer(route, body)
            except Exception as error:  # noqa: BLE001 - Flask's handlers get it
                outcome = error
            if type(outcome) is bytes and len(outcome) <= self._longest_answer:
                headers = self._headers(route.method, outcome)
                gateway.record(route.method, route.rule, 200, began, now.address)
                start_response("200 OK", headers)
                return [outcome]
            environ[gateway.CARRIED] = gateway.Carried(began, now, g.get("rate_budget"), outcome)
        return self._ordinary(environ, start_response)

    def _is_plain(self, environ: WSGIEnvironment) -> bool:
        """Whether nothing is asked for but the route's own answer."""
        return not (
            environ.get("QUERY_STRING")
            or environ.get("SCRIPT_NAME")
            or "HTTP_IF_NONE_MATCH" in environ
            or "HTTP_TRANSFER_ENCODING" in environ
            or "HTTP_CONTENT_ENCODING" in environ
            or (self._has_origins and "HTTP_ORIGIN" in environ)
            or (self._require_https and environ["wsgi.url_scheme"] != "https")
            or not _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        )

    def _read(self, environ: WSGIEnvironment) -> bytes | None:
        """The whole body, which stays where it is; None: another way is needed to tell what it is."""
        stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH", "")
        if environ.get("CONTENT_TYPE") != "application/json" or type(stream) is not BytesIO:
            return None
        if not _LENGTH.fullmatch(length) or int(length) > self._longest_body:
            return None
        begin = stream.tell()
        body = stream.read(int(length))
        stream.seek(begin)
        return body if len(body) == int(length) else None

    def _headers(self, method: str, body: bytes) -> list[tuple[str, str]]:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if method == "GET":
            headers += [("ETag", f'"{entity_tag(body)}"'), ("Cache-Control", "no-cache")]
        else:
            headers.append(("Cache-Control", "no-store"))
        if self._has_origins:
            headers.append(("Vary", "Origin"))
        return headers + last_headers(require_https=self._require_https)


def _answer(route: Route, body: bytes | None) -> bytes:
    arguments = [] if route.body is None else [route.body.load(parse(body or b""))]
    if route.query is not None:
        arguments.append(route.query.load({}))  # plain requests have no query string
    return envelope(route.shape.dump(route.view(*arguments)))
