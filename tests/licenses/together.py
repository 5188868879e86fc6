"""Many callers at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

from flask import Flask
from sqlalchemy import text

from devforge_api.core.db import db, unit_of_work


def at_once(calls: Sequence[Callable[[], Any]], workers: int = 12) -> list[Any]:
    """Run calls side by side; their answers, in the calls' order."""
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def behind(
    app: Flask,
    change: Callable[[], object],
    calls: Sequence[Callable[[], Any]],
    *,
    then: Callable[[], object] = lambda: None,
) -> list[Any]:
    """Run calls that come upon a change which is not committed yet: they wait, and see what it was.

    :param change: made in a transaction that is committed once every call waits for a lock, or is done.
    :param then: done in the same transaction, before it is committed.
    """
    with ThreadPoolExecutor(len(calls)) as pool, app.app_context():
        with unit_of_work():
            change()
            waiting = [pool.submit(call) for call in calls]
            if db.engine.dialect.name == "postgresql":
                while _waiting() < len(calls) and not all(call.done() for call in waiting):
                    sleep(0.01)
            then()
        return [call.result() for call in waiting]


def _waiting() -> int:
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
    with db.engine.connect() as connection:
        return connection.scalar(text(locked + "wait_event_type = 'Lock'")) or 0
