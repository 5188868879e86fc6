"""How migrations run: one process at a time, and never waiting long for a lock."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from devforge_api.core.db import JsonValue, UtcDateTime, db

ADVISORY_LOCK = 0x0DE7F063  # any number, the same for all
LOCK_TIMEOUT = "5s"  # a migration that waits blocks everyone behind it: fail, and try again later


def render_item(kind: str, item: Any, _autogen: Any) -> str | bool:
    """Write our column types in plain SQLAlchemy, so that migrations need no application code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and item is JsonValue:
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def compare_type(_context: Any, _inspected: Any, _column: Any, _existing: Any, declared: Any) -> bool | None:
    """SQLite keeps no zone; the declared type decides on PostgreSQL as usual."""
    return False if isinstance(declared, UtcDateTime) and db.engine.dialect.name == "sqlite" else None


@contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """Hold the migration lock: PostgreSQL's advisory lock, or a lock file beside a SQLite file."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()
        return
    with (current_app.config["DATA_DIR"] / "migrate.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_offline() -> None:
    """Print the SQL instead of running it."""
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Bring the database to the wanted revision, in one transaction."""
    with db.engine.connect() as connection, one_at_a_time(connection):
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            render_item=render_item,
            compare_type=compare_type,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
