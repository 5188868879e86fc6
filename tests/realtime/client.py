"""Clients of the realtime process: an event stream read from a plain connection, and WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import websocket

from tests.factories import V1, Person

PATIENCE = 30.0  # seconds; on the column without Redis news is found by looking once a second
TOLD_FIRST = {"ready"}
BESIDE = {"presence", "notification"}  # windows come and go, and so do sign-ins


class Window:
    """One open event stream."""

    def __init__(self, port: int, query: str = "", **headers: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._connection.request("GET", f"{V1}/realtime/stream{query}", headers=headers)
        self.answer = self._connection.getresponse()
        self.status = self.answer.status
        self.retry: int | None = None
        self.beats = 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event, until the stream ends; ``id`` is None where none was sent."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "" and value:
                self.beats += 1
            elif name == "retry":
                self.retry = int(value)
            elif name:
                fields[name] = value
            elif fields:
                body = json.loads(fields["data"])
                assert body["type"] == fields["event"]
                yield {**body, "id": int(fields["id"]) if "id" in fields else None}
                fields = {}

    def take(self, count: int = 1, *, without: set[str] = TOLD_FIRST | BESIDE) -> list[dict[str, Any]]:
        """The next events; others than those of these types."""
        found: list[dict[str, Any]] = []
        events = self.events()
        while len(found) < count:
            event = next(events)
            if event["type"] not in without:
                found.append(event)
        return found

    def wait_for(self, type_: str) -> dict[str, Any]:
        return next(event for event in self.events() if event["type"] == type_)

    def rest(self) -> list[dict[str, Any]]:
        """Everything up to the end."""
        return list(self.events())

    def refusal(self) -> str:
        """The code of the refusal."""
        code: str = json.loads(self.answer.read())["error"]["code"]
        return code

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def window(server: Any, person: Person, after: int | str | None = None, **headers: str) -> Window:
    """A stream opened by a token, as the desktop application does."""
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    opened = Window(server.port, **person.headers, **headers)
    assert opened.status == 200, opened.answer.read()
    return opened


class Socket:
    """One open WebSocket."""

    def __init__(self, server: Any, query: str = "", **options: Any) -> None:
        self.connection = websocket.WebSocket()
        self.connection.settimeout(PATIENCE)
        try:
            self.connection.connect(f"ws://127.0.0.1:{server.port}/ws{query}", **options)
        except websocket.WebSocketException:
            self.connection.shutdown()
            raise

    def take(self, *, without: set[str] = TOLD_FIRST | BESIDE) -> dict[str, Any]:
        """The next message of another type than these."""
        while True:
            found: dict[str, Any] = json.loads(self.connection.recv())
            if found["type"] not in without:
                return found

    def wait_for(self, type_: str) -> dict[str, Any]:
        while (found := self.take(without=set()))["type"] != type_:
            pass
        return found

    def say(self, message: Any) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def close_code(self) -> int:
        """Read up to the end; its code."""
        while True:
            code, data = self.connection.recv_data()
            if code == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")

    def is_silent(self, seconds: float = 0.5) -> bool:
        """Whether nothing comes for a while."""
        self.connection.settimeout(seconds)
        try:
            self.take()
        except websocket.WebSocketTimeoutException:
            return True
        finally:
            self.connection.settimeout(PATIENCE)
        return False

    def close(self) -> None:
        self.connection.close()
        self.connection.shutdown()  # also where the other side was first

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def socket(server: Any, person: Person, query: str = "") -> Socket:
    return Socket(server, query, header=person.headers)


def figure(server: Any, name: str) -> float:
    """A metric's value, all its labels together."""
    _, text = server.ask("/metrics")
    lines = [line for line in text.decode().splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def open_streams(server: Any) -> int:
    return int(figure(server, "devforge_realtime_streams"))


def read_all(server: Any, person: Person, last: int, *, after: int, seconds: float = 90) -> list[int]:
    """Read what follows an id up to another, by connections that break again and again; ids as they came."""
    seen: list[int] = []
    deadline = time.monotonic() + seconds
    while not seen or seen[-1] < last:
        assert time.monotonic() < deadline, seen[-5:]
        with closing(window(server, person, seen[-1] if seen else after)) as opened:
            for count, event in enumerate(opened.events()):
                assert event["type"] != "error", event
                if event["type"] == "note":
                    seen.append(event["id"])
                if seen and (seen[-1] >= last or count >= 40):
                    break
    return seen
