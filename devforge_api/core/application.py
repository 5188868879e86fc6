"""Flask without what this application does not use, and every request would pay for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import SessionInterface, SessionMixin


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

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: none of ours is a coroutine."""
        return func
