"""Do this host, the database's and Redis's agree on the time? Tokens depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, reading_engine
from devforge_api.ops import service
from devforge_api.ops.doctor.report import Finding, Health

FAR_APART = 5.0  # seconds


def clock_of_database() -> Iterator[Finding]:
    """This host and the database's agree on the time."""
    if db.engine.dialect.name == "sqlite":
        yield Finding("clock of the database", Health.OK, "the database is on this host")
        return
    with reading_engine().connect() as connection:

        def ask() -> datetime:
            found: datetime = connection.scalar(text("SELECT clock_timestamp()"))
            return found

        yield _compared("clock of the database", ask)


def clock_of_redis(url: str) -> Iterator[Finding]:
    """This host and Redis's agree on the time."""
    with service.redis_client(url) as client:

        def ask() -> datetime:
            answer: Any = client.time()
            seconds, microseconds = answer
            return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)

        yield _compared("clock of redis", ask)


def _compared(part: str, ask: Callable[[], datetime]) -> Finding:
    """How far another clock is from ours; the time that its answer took does not count."""
    before, there, after = utc_now(), ask(), utc_now()
    ahead = max((before - there).total_seconds(), 0.0) or min((after - there).total_seconds(), 0.0)
    if abs(ahead) <= FAR_APART:
        return Finding(part, Health.OK, f"{abs(ahead):.1f} s apart from ours")
    word = "behind" if ahead > 0 else "ahead of"
    return Finding(
        part,
        Health.FAILED,
        f"{abs(ahead):.0f} s {word} ours: tokens are refused too early or too late",
        "synchronise the clocks of all hosts (NTP)",
    )
