"""What happens, as it happens: tickets here, streams in a process of their own (realtime_app.py)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import flask
from flask import Flask, Response, current_app, g, request
from flask.views import MethodView
from simple_websocket import Server
from sqlalchemy.exc import OperationalError
from wsproto.utilities import RemoteProtocolError

from devforge_api.core.api import Blueprint
from devforge_api.core.application import Answer
from devforge_api.core.context import Principal, occasion, principal
from devforge_api.core.db import db, release_connection, unit_of_work
from devforge_api.core.errors import DomainError
from devforge_api.core.limits import Limit, address_key, charge
from devforge_api.core.realtime import publishing
from devforge_api.core.responses import carries_secret
from devforge_api.core.security import install_tickets, requires
from devforge_api.notifications.errors import NoWebSocket, TicketInvalid, WrongProcess
from devforge_api.notifications.schemas import StreamQuery, TicketSchema
from devforge_api.notifications.service import sockets, tickets
from devforge_api.notifications.service.event_streams import EventStream
from devforge_api.notifications.service.hub import SCOPE, Hub
from devforge_api.notifications.service.streams import LEFT
from devforge_api.notifications.service.watch import Watch

# How long a ticket waits for SQLite's one writer, and for how long at a time: streams wait with it.
BUSY_SECONDS, BUSY_PAUSE = 5.0, 0.02
EXAMPLE = (
    "id: 42\nevent: license_update\n"
    'data: {"type":"license_update","data":{"event":"license.renewed"},'
    '"timestamp":"2026-01-15T09:30:00Z"}\n\n'
)

Notice = Callable[[dict[str, Any], Callable[[], None]], Callable[[], None]]


def _notice_nothing(_environ: dict[str, Any], _gone: Callable[[], None]) -> Callable[[], None]:
    return lambda: None


realtime = Blueprint(
    "realtime", __name__, url_prefix="/api/v1/realtime", description="What happens, as it happens."
)
windows = flask.Blueprint("windows", __name__)  # OpenAPI has no words for WebSocket


def init_app(app: Flask) -> None:
    """Admit callers by tickets."""
    install_tickets(app, _redeem)


def serve_streams(app: Flask, notice: Notice | None = None) -> Hub:
    """Make this process one that serves streams.

    :param notice: calls a function when a request's client goes, and returns what it has to be told
        when that is of no interest any more. Without, it is found out at the next thing that is sent.
    """
    if notice is not None:
        app.extensions["devforge-notice"] = notice
    hub = Hub(app.app_context, most=app.config["REALTIME_CONNECTIONS"])
    app.extensions["devforge-hub"] = hub
    publishing.listen(app, hub.hear)
    Watch(hub, app.config["REDIS_URL"]).start()
    return hub


@realtime.route("/tickets")
class Tickets(MethodView):
    """Tickets."""

    @requires(SCOPE)
    @realtime.response(201, TicketSchema, location=lambda made: made["stream_url"])
    @unit_of_work()
    def post(self) -> dict[str, Any]:
        """Ask for a ticket that opens one stream, once, within a minute"""
        carries_secret()
        made = tickets.issue(principal())
        base = current_app.config["REALTIME_URL"].rstrip("/")
        return {
            "ticket": made.ticket,
            "expires_at": made.expires_at,
            "stream_url": f"{base}/api/v1/realtime/stream?ticket={made.ticket}",
            "ws_url": f"ws{base.removeprefix('http')}/ws?ticket={made.ticket}",
        }


@realtime.route("/stream")
class Streams(MethodView):
    """Streams."""

    @requires(SCOPE, ticket=True)
    @realtime.arguments(StreamQuery, location="query")
    @realtime.response(200, {"type": "string"}, content_type="text/event-stream", example=EXAMPLE)
    @realtime.raises(TicketInvalid, WrongProcess)
    def get(self, query: dict[str, Any]) -> Response:
        """Read what one is told, as server-sent events; at the address that a ticket names"""
        hub = _hub()
        release_connection()  # the hub takes its own, and gives them back
        stream = hub.open(principal(), "sse")
        try:
            first = hub.begin(stream, request.headers.get("Last-Event-ID") or query.get("last_event_id"))
            notice: Notice = current_app.extensions.get("devforge-notice", _notice_nothing)
            body = EventStream(hub, stream, first, notice(request.environ, partial(stream.end, LEFT)))
            response = Response(body, mimetype="text/event-stream")
        except BaseException:
            hub.close(stream)
            raise
        response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        return response


class Taken(Answer):
    """The answer where the connection has been taken over: there is none."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Tell gunicorn that nothing is left to be sent, as it wants to be told."""
        if self._mode == "gunicorn":
            raise StopIteration
        return super().__call__(*args, **kwargs)


@windows.route("/ws")
@requires(SCOPE, ticket=True)
def converse() -> Response:
    """Speak WebSocket."""
    hub = _hub()
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise NoWebSocket
    after = request.args.get("last_event_id")
    hub.insist_on_room()
    release_connection()
    try:
        socket: Server = sockets.accept(request.environ)
    except RemoteProtocolError as error:
        raise NoWebSocket(f"This is no WebSocket handshake: {error}.") from error
    # From here on nothing but WebSocket can be said on this connection.
    try:
        stream = hub.open(principal(), "ws", socket.event)
        try:
            first = hub.begin(stream, after)
            sockets.converse(socket, hub, stream, first)
        finally:
            hub.close(stream)
    except Exception as error:
        if not isinstance(error, DomainError):
            current_app.logger.exception("a WebSocket failed")
        sockets.refuse(socket)
    finally:
        sockets.hang_up(socket)
    g.began = time.perf_counter()  # the metrics tell how long answers take, not conversations
    return Taken(socket.mode)


def _hub() -> Hub:
    """This process's windows.

    :raises WrongProcess: it serves none.
    """
    hub: Hub | None = current_app.extensions.get("devforge-hub")
    if hub is None:
        raise WrongProcess(url=current_app.config["REALTIME_URL"])
    return hub


def _redeem(ticket: str) -> Principal:
    """Whom a ticket admits; it is used up only where a stream can be served.

    :raises TokenRefused: it does not admit. :raises WrongProcess: not here.
    :raises Unavailable: not now.
    """
    try:
        _hub().insist_on_room()
    except DomainError:
        charge(Limit.ANONYMOUS, address_key(occasion().address))
        raise
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with unit_of_work():
                return tickets.redeem(ticket)
        except OperationalError:
            if db.engine.dialect.name != "sqlite" or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_PAUSE)
