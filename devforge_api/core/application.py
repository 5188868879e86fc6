"""Flask without what this application does not use, and every request would pay for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Answer(Response):
    """A response whose usual kind, a 200 with a body, needs no corrections at the last moment."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers as they are, where there is nothing to complete."""
        if self.status_code == 200 and not self.is_streamed and "Content-Location" not in self.headers:
            return self.headers
        return super().get_wsgi_headers(environ)


class NoSessions(SessionInterface):
    """No session cookie: who is signed in is told by a token."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """None; Flask then puts one in its place that refuses to be written."""
        return None

    def is_null_session(self, obj: object) -> bool:
        """Always: there is nothing to save."""
        return True


class Application(Flask):
    """The Flask application."""

    session_interface = NoSessions()
    response_class = Answer

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """How addresses are matched: by path alone, whatever host was asked for."""
        if request is None:
            return super().create_url_adapter(None)
        return MapAdapter(
            self.url_map, request.host, request.root_path, "", request.scheme, request.path,
            request.method, request.environ.get("QUERY_STRING", ""),
        )  # fmt: skip

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: none of ours is a coroutine."""
        return func
