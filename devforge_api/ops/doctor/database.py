"""Is the database there, new enough, writable, and at this code's schema?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from devforge_api.core.db import db, reading_engine
from devforge_api.ops import service
from devforge_api.ops.doctor.report import Finding, Health, first_line

OLDEST_POSTGRESQL = 15
RESERVED = """
SELECT sum(setting::int) FROM pg_settings
WHERE name IN ('superuser_reserved_connections', 'reserved_connections')
"""


def database() -> Iterator[Finding]:
    """It answers, is new enough, and has room for this server's connections."""
    begun = time.perf_counter()
    on_sqlite = db.engine.dialect.name == "sqlite"
    try:
        with reading_engine().connect() as connection:
            yield from (_sqlite if on_sqlite else _postgresql)(connection, begun)
    except DBAPIError as error:
        advice = (
            "is its folder there, and may this user write it?"
            if on_sqlite
            else "is it running? check DEVFORGE_DATABASE_URL"
        )
        yield Finding("database", Health.FAILED, f"{_where()}: {first_line(error)}", advice)


def _where() -> str:
    url = db.engine.url
    return f"{url.database}" if url.host is None else f"{url.database} at {url.host}:{url.port or 5432}"


def _took(begun: float) -> str:
    return f"{(time.perf_counter() - begun) * 1000:.0f} ms"


def _sqlite(connection: Connection, begun: float) -> Iterator[Finding]:
    version = connection.scalar(text("SELECT sqlite_version()"))
    took = _took(begun)
    mode = connection.scalar(text("PRAGMA journal_mode"))
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # refused where the file cannot be written
    connection.exec_driver_sql("ROLLBACK")
    if mode == "wal":
        yield Finding("database", Health.OK, f"SQLite {version}, can be written, answers in {took}")
    else:
        yield Finding("database", Health.FAILED, f"journal mode {mode}, not wal", "keep it on a local disk")


def _postgresql(connection: Connection, begun: float) -> Iterator[Finding]:
    number = int(connection.scalar(text("SHOW server_version_num")))
    took = _took(begun)
    version = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number // 10_000 < OLDEST_POSTGRESQL:
        yield Finding("database", Health.FAILED, version, f"use PostgreSQL {OLDEST_POSTGRESQL} or newer")
    else:
        yield Finding("database", Health.OK, f"{version} answers in {took}")
    most = int(connection.scalar(text("SHOW max_connections")))
    usable = most - int(connection.scalar(text(RESERVED)))
    told = current_app.config
    # Beside the pool, as many as prepared statements run at once: one a thread (core/statements.py).
    wanted = told["WEB_WORKERS"] * (told["DATABASE_POOL_SIZE"] + told["WEB_THREADS"])
    if wanted > usable:
        yield Finding(
            "database",
            Health.WARNING,
            f"this server's web processes may want {wanted} connections of {usable}",
            "lower DEVFORGE_DATABASE_POOL_SIZE, or raise max_connections",
        )


def migrations() -> Iterator[Finding]:
    """The schema is this code's."""
    yield Finding("migrations", Health.OK, service.check_migrations(current_app.config["MIGRATIONS_DIR"]))
