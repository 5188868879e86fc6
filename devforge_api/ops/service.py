"""Whether the parts that the server needs are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from devforge_api.core import outbox
from devforge_api.core.db import db

CHECK_SECONDS = 2.0


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

    :raises RuntimeError: it is not.
    """
    heads = set(migration_heads(migrations))
    found = set(db.session.scalars(text("SELECT version_num FROM alembic_version")))
    if found != heads:
        raise RuntimeError("run `flask db upgrade`")
    return "at head"


def migration_heads(migrations: Path) -> tuple[str, ...]:
    """The newest revisions among the migration files; one, if the history is linear."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations))
    return tuple(ScriptDirectory.from_config(settings).get_heads())


def check_redis(url: str) -> str:
    """Redis answers."""
    with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
        client.ping()
    return "answers"


def check_data_folder(folder: Path) -> str:
    """The data folder can be written, and has room.

    :raises RuntimeError: less than 50 MB are free.
    """
    if not os.access(folder, os.W_OK):
        raise RuntimeError(f"{folder} is not writable")
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    if free < 50_000_000:
        raise RuntimeError(f"{folder} has {free // 1_000_000} MB left")
    return f"{free // 1_000_000} MB free"


def check_jobs(limit: timedelta) -> str:
    """Events are delivered in time.

    :raises RuntimeError: the oldest due one waits for longer than the limit.
    """
    lag = outbox.lag()
    if lag > limit:
        raise RuntimeError(
            f"the oldest event waits since {int(lag.total_seconds())} s; is the worker running?"
        )
    return f"lag {lag.total_seconds():.1f} s"


def run_checks(checks: dict[str, Callable[[], str]]) -> list[Check]:
    """Run checks side by side, each with a time limit."""
    # Not as a context manager: leaving it would wait for a check that hangs.
    pool = ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="ready")
    running = {name: pool.submit(check) for name, check in checks.items()}
    results = []
    for name, future in running.items():
        try:
            results.append(Check(name, True, future.result(timeout=CHECK_SECONDS)))
        except TookTooLong:
            results.append(Check(name, False, f"no answer within {CHECK_SECONDS:.0f} s"))
        except RuntimeError as error:
            results.append(Check(name, False, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
            results.append(Check(name, False, type(error).__name__))
    pool.shutdown(wait=False, cancel_futures=True)
    return results
