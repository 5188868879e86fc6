"""Running servers that stop with the process that started them, in folders of their own.

Each has a watchdog, which holds the reading end of a pipe whose writing end closes when that
process dies, even if it is killed.
"""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

START_SECONDS = 60  # a loaded CI machine may take long; a server that cannot start says so at once
WATCHDOG = """
while read -r _; do :; done
kill -s INT "$1" && sleep 1
kill -s KILL "$1"
rm -rf -- "$2"
"""


def unprivileged_user() -> pwd.struct_passwd | None:
    """Return whom to start PostgreSQL as, which refuses to run as root; None means as ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def free_port() -> int:
    """A port that nobody listens on at this moment, nor on the one after it (a server's streams).

    Both are below those that the system itself gives to connections, so that none of these takes one
    between the question and its use.
    """
    while True:
        port = random.randrange(20_000, 32_000, 2)
        with socket.socket() as probe, socket.socket() as neighbor:
            try:
                probe.bind(("127.0.0.1", port))
                neighbor.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port


def package_folder(name: str) -> Path:
    """Find an installed package without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed: see tests/requirements.txt")
    return Path(spec.origin).parent


@contextmanager
def folder_open_to_all(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that others may enter, short enough for the path of a socket."""
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]):  # noqa: S108
        if _suits_servers(Path(parent)):
            break
    else:
        raise RuntimeError("no temporary folder is open to all users: set TMPDIR to one that is")
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # it is our own; only what is inside decides what others may read
        yield folder


def _suits_servers(folder: Path) -> bool:
    if not os.access(folder, os.W_OK) or len(str(folder.resolve())) > 60:
        return False
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        return False
    return os.geteuid() != 0 or all(
        path.stat().st_mode & 0o001 for path in (folder.resolve(), *folder.resolve().parents)
    )


@contextmanager
def running(
    command: list[str],
    folder: Path,
    log: Path,
    answers: Callable[[], None],
    user: pwd.struct_passwd | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends or this process dies, and wait until it answers."""
    server = start(command, log, user)
    reading, writing = os.pipe()  # not inherited by other children, so it closes with this process
    watchdog = subprocess.Popen(
        ["sh", "-c", WATCHDOG, "watchdog", str(server.pid), str(folder)],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(reading)
    try:
        _wait_for(server, log, answers)
        yield server
    finally:
        server.send_signal(signal.SIGINT)  # to both servers: stop now, without waiting for clients
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        watchdog.kill()
        watchdog.wait()
        os.close(writing)


def start(command: list[str], log: Path, user: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start a program in its log's folder, with an environment of its own."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(log.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which then stops the server in order
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=[] if user else None,
        )


def _wait_for(server: subprocess.Popen[bytes], log: Path, answers: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return answers()
        except (psycopg.OperationalError, redis.ConnectionError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{server.args!r} did not start:\n{tail(log)}") from None
            time.sleep(0.05)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
