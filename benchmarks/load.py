"""Load on one server by ``wrk``: saturating, or at an offered rate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("wrk.lua")
MARK = "OUTCOME "
TIMEOUT_SECONDS = 10  # after which an answer counts as broken
INSTALLING = "wrk is not on PATH: install it (on Debian and Ubuntu: apt install wrk) and start again."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of wrk saw.

    ``p50``, ``p95``, ``p99`` and ``longest`` in milliseconds. ``refused`` counts answers of 400 and above,
    ``broken`` requests without an answer. The last three count answers by status (2xx, 503, any
    other), where that was asked for; otherwise they are 0.
    """

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    longest: float
    refused: int
    broken: int
    accepted: int
    unavailable: int
    other: int


def is_installed() -> bool:
    """Whether there is a ``wrk``."""
    return shutil.which("wrk") is not None


def raw_request(
    method: str, path: str, *, body: Any = None, token: str | None = None, address: str = "203.0.113.9"
) -> bytes:
    """A request as it comes through a proxy that ends TLS."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: api.example.com",
        "User-Agent: DevForge/1.4 (Electron)",
        "Accept: application/json",
        f"X-Forwarded-For: {address}",
        "X-Forwarded-Proto: https",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    content = b""
    if body is not None:
        content = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    """Write requests as ``wrk.lua`` reads them."""
    path.write_bytes(b"".join(struct.pack("<I", len(request)) + request for request in requests))
    return path


@contextmanager
def loading(
    port: int,
    requests: Path,
    *,
    connections: int,
    seconds: int,
    rate: int | None = None,
    count_statuses: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    """Run wrk while the block runs, and end it with the block; ``outcome`` reads its result."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "REQUESTS": str(requests)}
    if rate is not None:
        environ["RATE"] = str(rate)
    if count_statuses:
        environ["STATUSES"] = "1"
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(SCRIPT), f"http://127.0.0.1:{port}/"]
    wrk = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield wrk
    finally:
        if wrk.poll() is None:
            wrk.kill()
            wrk.communicate()


def outcome(wrk: subprocess.Popen[str], *, early: bool = False) -> Outcome:
    """What wrk saw, when it has ended.

    :param early: do not wait for its time to be over: it stops at SIGINT and tells what it saw.
    :raises RuntimeError: it failed.
    """
    if early:
        wrk.send_signal(signal.SIGINT)
    printed, _ = wrk.communicate()
    found = [line.removeprefix(MARK) for line in printed.splitlines() if line.startswith(MARK)]
    if wrk.returncode or not found:
        raise RuntimeError(f"wrk failed:\n{printed}")
    return Outcome(**json.loads(found[0]))


def load(port: int, requests: Path, **how: Any) -> Outcome:
    """Run wrk to its end; the parameters are those of `loading`."""
    with loading(port, requests, **how) as wrk:
        return outcome(wrk)


def exchange(port: int, request: bytes) -> tuple[int, Any]:
    """Send one request; the status and the decoded body of its answer."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        connection.sendall(request)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read() or b"null")


@contextmanager
def silent_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Hold connections on which nothing is ever sent."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        yield held
    finally:
        for connection in held:
            connection.close()


def still_open(connections: list[socket.socket]) -> int:
    """How many of them the server has not closed."""
    count = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            count += 1
        except ConnectionError:
            pass  # closed, and not politely
    return count
