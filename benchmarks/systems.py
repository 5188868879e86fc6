"""The servers that are measured: Dev Forge API as `flask serve` starts it, and three peers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from benchmarks.load import exchange, raw_request, write_requests

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).with_name("peers")
WORKERS = 2  # web processes of each server
LIMIT = "100000000"  # requests a minute: everything is counted and nothing refused
START_SECONDS = 60
OURS = "Dev Forge API"
BUDGETS = ("ANONYMOUS", "USER", "CREDENTIALS", "ACCOUNT_FAILURES", "SESSION_REFRESH")
# What could change a server's behaviour behind our back.
NOT_INHERITED = ("DEVFORGE_", "PROMETHEUS_", "FLASK_", "PYTHON", "GRANIAN_", "UVICORN_", "NODE_", "PG")


@dataclass(frozen=True)
class System:
    """A server that can be started.

    :param command: its command line; ``{port}`` stands for the port.
    :param environ: added to what is inherited; ``{port}`` likewise.
    :param requests: by the job's name, the requests to send.
    :param redis_url: its own database of the Redis server.
    """

    name: str
    command: list[str]
    environ: dict[str, str]
    folder: Path
    requests: dict[str, list[bytes]]
    redis_url: str


@dataclass(frozen=True)
class Server:
    """A running server."""

    system: System
    process: int
    port: int
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its system's name."""
        return self.system.name

    def ask(self, job: str, number: int = 0) -> tuple[int, Any]:
        """Send one of a job's requests; the status and the body of its answer."""
        return exchange(self.port, self.system.requests[job][number])


def our_environment(
    *, database_url: str, redis_url: str, folder: Path, secrets: dict[str, str]
) -> dict[str, str]:
    """Production's settings, behind one proxy; only the budgets are so large that nothing is refused."""
    return {
        "DEVFORGE_ENV": "production",
        "DEVFORGE_PUBLIC_URL": "https://api.example.com",
        "DEVFORGE_DATABASE_URL": database_url,
        "DEVFORGE_REDIS_URL": redis_url,
        "DEVFORGE_DATA_DIR": str(folder),
        "DEVFORGE_WEB_WORKERS": str(WORKERS),
        "DEVFORGE_TRUSTED_PROXIES": "1",
        **{f"DEVFORGE_LIMIT_{name}": LIMIT for name in BUDGETS},
        **{f"DEVFORGE_{name}": value for name, value in secrets.items()},
    }


def ours(environ: dict[str, str], material: dict[str, Any]) -> System:
    """Dev Forge API, by the command of the image."""
    password, emails = material["password"], material["emails"]
    requests = {
        "V": [
            raw_request("POST", "/api/v1/licenses/validate", body={"key": key, "fingerprint": machine})
            for key, machine in material["pairs"]
        ],
        "R": [raw_request("GET", "/api/v1/auth/me", token=token) for token in material["tokens"]],
        "login": [
            raw_request("POST", "/api/v1/auth/login", body={"email": email, "password": password})
            for email in emails
        ],
    }
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi",
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    ]
    return System(OURS, command, environ, ROOT, requests, environ["DEVFORGE_REDIS_URL"])


def peer_environment(*, database_url: str, redis_url: str, secret: str) -> dict[str, str]:
    """What all peers read; PostgreSQL by the variables of libpq."""
    url = make_url(database_url)
    host = url.query.get("host") or url.host
    given = {
        "PGHOST": host if isinstance(host, str) else None,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    return {
        **{name: value for name, value in given.items() if value},
        "REDIS_URL": redis_url,
        "PEER_SECRET": secret,
        "PEER_LIMIT": LIMIT,
        "PEER_WORKERS": str(WORKERS),
    }


def peer_requests(material: dict[str, Any]) -> dict[str, list[bytes]]:
    """The two jobs at the peers' addresses."""
    return {
        "V": [
            raw_request("POST", "/v1/licences/validate", body={"key": key, "fingerprint": machine})
            for key, machine in material["pairs"]
        ],
        "R": [raw_request("GET", "/v1/auth/me", token=token) for token in material["tokens"]],
    }


def fastapi(python: Path, environ: dict[str, str], requests: dict[str, list[bytes]]) -> System:
    """FastAPI by uvicorn with its fast parts, without an access log."""
    command = [
        str(python), "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(PEERS), "--host", "127.0.0.1",
        "--port", "{port}", "--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning", "--backlog", "2048",
    ]  # fmt: skip
    return System("FastAPI", command, environ, PEERS, requests, environ["REDIS_URL"])


def node_peer(
    name: str, node: Path, program: Path, environ: dict[str, str], requests: dict[str, list[bytes]]
) -> System:
    """A Node program that makes its workers itself."""
    environ = {**environ, "NODE_ENV": "production", "PEER_PORT": "{port}"}
    return System(name, [str(node), str(program)], environ, program.parent, requests, environ["REDIS_URL"])


@contextmanager
def running(system: System, folder: Path) -> Iterator[Server]:
    """Start a server, its output in a file of the folder, and stop it with the block."""
    port = free_port()
    log = folder / f"{system.name.lower().replace(' ', '-')}.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    environ = {name: value.replace("{port}", str(port)) for name, value in system.environ.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in system.command],
            cwd=system.folder,
            env={**inherited, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us, who then stop it in order
        )
    try:
        files = {
            job: write_requests(folder / f"{log.stem}-{job}.requests", requests)
            for job, requests in system.requests.items()
        }
        server = Server(system, process.pid, port, files)
        _await(server, process, log)
        yield server
    finally:
        stop(process)


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.ask("V")
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                printed = log.read_text(errors="replace").splitlines()[-20:]
                raise RuntimeError(f"{server.name} did not start:\n" + "\n".join(printed)) from None
            time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then end what is left of its process group."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass  # what follows does not ask
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nothing is left
    process.wait()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
