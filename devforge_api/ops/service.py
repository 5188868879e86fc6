"""Whether the parts that the server needs are there."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import redis
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from devforge_api.core import maintenance, outbox_upkeep
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, reading_engine

CHECK_SECONDS = 2.0
LEAST_FREE_BYTES = 50_000_000
T = TypeVar("T")


class NotThere(Exception):
    """A part is not ready; what was seen, and what to do."""

    def __init__(self, seen: str, advice: str) -> None:
        self.seen, self.advice = seen, advice
        super().__init__("; ".join(filter(None, (seen, advice))))


@dataclass(frozen=True, slots=True)
class Check:
    """One part: whether it is ready, and what to do if not."""

    name: str
    ok: bool
    detail: str


def check_database() -> str:
    """The database answers."""
    db.session.execute(text("SELECT 1"))
    return "answers"


def check_migrations(migrations: Path) -> str:
    """The database is at the newest migration.

    :raises NotThere: it is not.
    """
    with reading_engine().connect() as connection:
        found = MigrationContext.configure(connection).get_current_heads()
    if set(found) != set(migration_heads(migrations)):
        raise NotThere("", "run `flask db upgrade`")
    return "at head"


@lru_cache
def migration_heads(migrations: Path) -> tuple[str, ...]:
    """The newest revisions among the migration files; one, if the history is linear."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations))
    return tuple(ScriptDirectory.from_config(settings).get_heads())


def check_redis(url: str) -> str:
    """Redis answers."""
    with redis_client(url) as client:
        client.ping()
    return "answers"


def redis_client(url: str) -> redis.Redis:
    """A connection for a check, which waits a second and no longer."""
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)


def check_data_folder(folder: Path) -> str:
    """The data folder can be written, and has room.

    :raises NotThere: it cannot, or less than 50 MB are free.
    """
    return check_room(free_bytes(folder))


def check_room(free: int) -> str:
    """So many bytes are enough.

    :raises NotThere: less than 50 MB.
    """
    if free < LEAST_FREE_BYTES:
        raise NotThere(f"only {free // 1_000_000} MB are left", "make room")
    return f"{free // 1_000_000} MB free"


def free_bytes(folder: Path) -> int:
    """How many bytes we may still write into a folder.

    :raises NotThere: none at all; tried, since permissions alone do not tell.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return shutil.disk_usage(folder).free
    except OSError as error:
        raise NotThere("it cannot be written", "correct its permissions") from error


def check_jobs(limit: timedelta) -> str:
    """Events are delivered in time, or wait for the end of a maintenance.

    :raises NotThere: the oldest due one waits for longer than the limit.
    """
    state = maintenance.current()
    if state.active:
        return "paused by maintenance"
    lag = outbox_upkeep.lag()
    if state.changed_at is not None:  # what fell due during a maintenance waits only since its end
        lag = max(timedelta(0), min(lag, utc_now() - state.changed_at))
    if lag > limit:
        raise NotThere(f"the oldest event waits since {int(lag.total_seconds())} s", "is the worker running?")
    return f"lag {lag.total_seconds():.1f} s"


class Readiness:
    """Checks that run side by side, each with a time limit.

    One that hangs is not begun again while it does: it costs one thread, however often somebody
    asks. Those threads do not keep the process from ending either.
    """

    def __init__(self, checks: Mapping[str, Callable[[], str]]) -> None:
        self._checks = checks
        self._running: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def run(self) -> list[Check]:
        """The state of every part, after at most ``CHECK_SECONDS``."""
        running = {name: self._begin(name) for name in self._checks}
        wait(running.values(), timeout=CHECK_SECONDS)
        return [_result(name, future) for name, future in running.items()]

    def _begin(self, name: str) -> Future[str]:
        with self._lock:
            found = self._running.get(name)
            if found is not None and not found.done():
                return found
            future = self._running[name] = in_thread(f"ready-{name}", self._checks[name])
        return future


def in_thread(name: str, call: Callable[[], T]) -> Future[T]:
    """Begin a call in a thread that does not keep the process from ending."""
    future: Future[T] = Future()
    threading.Thread(target=_fulfil, args=(future, call), name=name, daemon=True).start()
    return future


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
        future.set_exception(error)


def _result(name: str, future: Future[str]) -> Check:
    if not future.done():
        return Check(name, False, f"no answer within {CHECK_SECONDS:.0f} s")
    error = future.exception()
    if error is None:
        return Check(name, True, future.result())
    # Only our own sentences: a driver's may hold addresses and names.
    return Check(name, False, str(error) if isinstance(error, NotThere) else type(error).__name__)
