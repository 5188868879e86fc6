"""A window that speaks WebSocket (RFC 6455)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from socket import SHUT_RDWR
from threading import Lock
from typing import Any

from simple_websocket import ConnectionClosed, Server

from devforge_api.core.errors import MalformedRequest
from devforge_api.core.json import parse
from devforge_api.notifications.service import messages, streams
from devforge_api.notifications.service.event_streams import AGAIN_SECONDS, BEAT_SECONDS
from devforge_api.notifications.service.hub import Hub
from devforge_api.notifications.service.messages import PASSED_ON, Message, passing
from devforge_api.notifications.service.streams import Ending, Stream

LARGEST = 4096  # bytes of a message that is read; of a larger one: close code 1009
CLOSE_SECONDS = 2.0  # for the client to confirm the end
# Messages of a client in a window of time; beyond the first they are dropped, beyond the second it is.
WINDOW_SECONDS, HEARD, BORNE = 10.0, 50, 500
# How fast a client is read, whatever its frames are: of the smallest, such as pings, which are no
# messages, 4 KB cost some ten milliseconds. What it sends faster stays with it.
BYTES_PER_SECOND, AT_ONCE = 16 * 1024, 1024
# By server: where WSGI has the connection.
SOCKETS = ("gunicorn.socket", "werkzeug.socket")


class WholeSends:
    """A socket whose ``send`` sends everything, one message after the other, and which is read at a pace.

    The library takes it that ``send`` does, and calls it from two threads.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._turn = Lock()
        self._read_from = 0.0

    def recv(self, size: int) -> bytes:
        """Read a little, when it may be read again."""
        if (early := self._read_from - time.monotonic()) > 0:
            time.sleep(early)
        data: bytes = self._socket.recv(min(size, AT_ONCE))
        self._read_from = time.monotonic() + len(data) / BYTES_PER_SECOND
        return data

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with self._turn:
            self._socket.sendall(data)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the socket's own."""
        return getattr(self._socket, name)


def accept(environ: Mapping[str, Any]) -> Server:
    """Shake hands; from then on the connection is ours.

    :raises wsproto.utilities.RemoteProtocolError: what came is no handshake.
    """
    given = {name: WholeSends(value) if name in SOCKETS else value for name, value in environ.items()}
    # Compression would cost some 300 KB for each connection, and let a client send us small bombs.
    given.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    return Server(given, ping_interval=BEAT_SECONDS, max_message_size=LARGEST)


def converse(socket: Server, hub: Hub, stream: Stream, first: Iterable[Message]) -> None:
    """Tell the window what there is, and hear what it says, until one of both ends it."""
    ear = Ear(hub, stream)
    try:
        for message in first:
            _send(socket, message)
        while stream.ending is None:
            ear.listen(socket)
            told = hub.take(stream)
            for message in told:
                _send(socket, message)
            # Asked again: hearing has cleared the event that whoever ended the stream may have set.
            if not told and stream.ending is None:
                stream.wait(AGAIN_SECONDS if stream.behind else BEAT_SECONDS)
        _part(socket, stream.ending)
    except (ConnectionClosed, OSError):
        pass  # it has gone, or does not read


def _send(socket: Server, message: Message) -> None:
    socket.send(message.json.decode())


def _part(socket: Server, ending: Ending) -> None:
    if ending.code is not None:
        _send(socket, messages.failure(ending.code, ending.message))
    socket.close(ending.close, ending.message)
    socket.thread.join(CLOSE_SECONDS)


def refuse(socket: Server) -> None:
    """End a connection that cannot be served now."""
    with suppress(ConnectionClosed, OSError):
        socket.close(1013, "Try again later.")
        socket.thread.join(CLOSE_SECONDS)


def hang_up(socket: Server) -> None:
    """End the connection, and with it the library's thread that reads."""
    socket.connected = False
    with suppress(OSError):
        socket.sock.shutdown(SHUT_RDWR)


class Ear:
    """What a window may say, and how often."""

    def __init__(self, hub: Hub, stream: Stream) -> None:
        self._hub = hub
        self._stream = stream
        self._began = 0.0
        self._count = 0

    def listen(self, socket: Server) -> None:
        """Hear all that has been said by now."""
        while (said := socket.receive(timeout=0)) is not None:
            if answer := self._hear(said):
                _send(socket, answer)
            if self._stream.ending:
                return

    def _hear(self, said: str | bytes) -> Message | None:
        now = time.monotonic()
        if now - self._began > WINDOW_SECONDS:
            self._began, self._count = now, 0
        self._count += 1
        if self._count > BORNE:
            self._stream.end(streams.FLOODING)
        if self._count > HEARD:
            words = f"Send at most {HEARD} messages in {WINDOW_SECONDS:.0f} seconds; the others are dropped."
            return messages.failure("RATE_LIMITED", words) if self._count == HEARD + 1 else None
        return self._act(said)

    def _act(self, said: str | bytes) -> Message | None:
        if isinstance(said, bytes | bytearray):
            return messages.failure("MALFORMED_REQUEST", "Send text.")
        try:
            found = parse(said.encode())
        except MalformedRequest as error:
            return messages.failure(error.code, error.message.replace("The body", "The message"))
        type_ = found.get("type") if isinstance(found, dict) else None
        if type_ == "ping":
            return passing("pong", {})
        if not isinstance(type_, str) or type_ not in PASSED_ON:
            return messages.failure("UNKNOWN_TYPE", "Known types are: ping, presence, typing.")
        data = found.get("data", {})
        if not isinstance(data, dict):
            return messages.failure("MALFORMED_REQUEST", "data must be an object.")
        self._hub.pass_on(self._stream, type_, data)
        return None
