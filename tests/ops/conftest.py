"""The real server, as `flask serve` starts it, on the column's own database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from devforge_api.app import create_app
from devforge_api.core.db import db
from tests.processes import free_port

if TYPE_CHECKING:
    from tests.ops.faults import Stage

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass
class Server:
    """A server process under test."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A TCP connection on which nothing has been sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """One request on a connection of its own; the answer and its body."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer, answer.read()

    def exchange(self, sent: bytes) -> bytes:
        """Send these bytes, and read until the server closes or has answered once."""
        with self.connect() as connection:
            connection.settimeout(60)
            try:
                connection.sendall(sent)
            except OSError:
                pass  # it has closed already; what it said can still be read
            return read_answer(connection)

    def is_answering(self) -> bool:
        try:
            return self.ask("/health")[0].status == 200
        except OSError:
            return False

    def workers(self) -> list[int]:
        """The worker processes' ids."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(word) for task in tasks for word in task.read_text().split()]

    def inside(self, path: Path) -> Path:
        """Where a path lies that only this process sees, in a mount namespace of its own."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def read_answer(connection: socket.socket) -> bytes:
    """One HTTP answer with its declared length, or what came before the connection was closed."""
    data = b""
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0].split(b":")[1]):
                return data
        try:
            part = connection.recv(65536)
        except ConnectionError:
            return data
        if not part:
            return data
        data += part


def until(condition: Callable[[], bool], why: str) -> None:
    """Wait for a condition; fails loudly rather than for ever."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


@contextmanager
def running(
    environ: dict[str, str],
    folder: Path,
    *command: str,
    port: int | None = None,
    before: Sequence[str] = (),
    **settings: str,
) -> Iterator[Server]:
    """A server with the column's environment and further settings, until the block ends.

    :param before: a command that becomes the server in the end, such as ``unshare``.
    """
    port = port or free_port()
    log = folder / f"server-{port}.log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DEVFORGE_", "PROMETHEUS_"))}
    given = {f"DEVFORGE_{name}": value for name, value in settings.items()}
    variables = {**inherited, **environ, "DEVFORGE_PORT": str(port), "HOME": str(folder), **given}
    line = [*before, sys.executable, "-m", *(command or ("flask", "--app", "wsgi", "serve"))]
    with log.open("ab") as output:
        process = subprocess.Popen(
            line, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        server = Server(process, port, log)
        until(lambda: server.is_answering() or process.poll() is not None, "the server does not come up")
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def start_server(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with further settings; all are ended with the test."""
    with ExitStack() as stack:
        yield lambda *command, **settings: stack.enter_context(
            running(environ, tmp_path, *command, **settings)
        )


@pytest.fixture(scope="module")
def live_server(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server beside the `api` fixture, on the same data; for a file of tests."""
    with running(environ, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def another_app(environ: dict[str, str]) -> Iterator[Callable[..., Flask]]:
    """Further applications on the column's data, with some settings changed."""
    made: list[Flask] = []

    def make(**settings: str) -> Flask:
        app = create_app({**environ, **{f"DEVFORGE_{name}": value for name, value in settings.items()}})
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    from tests.ops.faults import stage  # which is built on this file

    with stage(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture
def scene(shared_stage: Stage) -> Iterator[Stage]:
    """A server with parts of its own that may be taken away; all are there before and after a test."""
    shared_stage.recover()
    yield shared_stage
    shared_stage.recover()
