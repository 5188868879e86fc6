"""The database: typed models, and two ways to use a session.

Outside of a unit of work every statement stands alone (autocommit: one round trip a read).
Inside, a transaction is open: on SQLite as ``BEGIN IMMEDIATE``, so that writers queue instead of
failing half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import orjson
import uuid_utils.compat
from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Enum,
    MetaData,
    String,
    Update,
    event,
    orm,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from devforge_api.core.clock import utc_now

T = TypeVar("T")


def uuid7() -> UUID:
    """A time-ordered identifier (RFC 9562), made by the application."""
    return uuid_utils.compat.uuid7()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment; SQLite, which has no zones, stores it without and gets it back with."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What lists filter and write cursors by; a decorator's own answer is ``object``."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values: they would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every stored moment its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JsonValue: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")

_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Base(DeclarativeBase):
    """Declares the columns' Python types once."""

    registry = orm.registry(
        metadata=_metadata,
        type_annotation_map={
            datetime: UtcDateTime(),
            dict[str, Any]: JsonValue,
            list[str]: JsonValue,
            str: String(255),
        },
    )


class WorkSession(FlaskSession):
    """A session whose statements stand alone unless a unit of work is open."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        """The engine, in autocommit outside of a unit of work."""
        engine = super().get_bind(*args, **kwargs)
        if isinstance(engine, Engine) and not self.info.get("unit_of_work"):
            return _autocommit(engine)
        return engine


_autocommit_engines: dict[int, Engine] = {}


def _autocommit(engine: Engine) -> Engine:
    """The same pool, each statement its own transaction (kept: making one costs a few µs)."""
    found = _autocommit_engines.get(id(engine))
    if found is None or found.pool is not engine.pool:
        isolation = {} if engine.dialect.name == "sqlite" else {"isolation_level": "AUTOCOMMIT"}
        found = engine.execution_options(statement_by_statement=True, **isolation)
        _autocommit_engines[id(engine)] = found
    return found


db = SQLAlchemy(
    model_class=Base,
    # Answers are serialised after the commit; expiring would select every row again.
    session_options={"class_": WorkSession, "expire_on_commit": False},
)
migrate = Migrate()

if TYPE_CHECKING:

    class Model(Base):
        """Base of every table."""

        __abstract__ = True

else:
    Model = db.Model


class Timestamps:
    """For rows that can be edited."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)


def checked_enum(kind: type[StrEnum], *, name: str | None = None) -> Enum:
    """A string column that only takes the values of ``kind`` (a CHECK constraint, not a type).

    :param name: of the constraint, for the second column of a kind in one table.
    """
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
        name=name or kind.__name__.lower(),
    )


def init_app(app: Flask) -> None:
    """Connect the application to its database and its migrations."""
    url = app.config["DATABASE_URL"]
    if url.startswith("sqlite:"):
        options: dict[str, Any] = {"connect_args": {"timeout": app.config["SQLITE_BUSY_SECONDS"]}}
    else:
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        options = {
            "connect_args": {"connect_timeout": 3, "application_name": "devforge-api"},
            "pool_timeout": app.config["DATABASE_POOL_SECONDS"],
            "max_overflow": 0,
            "pool_recycle": 600,
            "pool_use_lifo": True,
        }
    # JSONB keeps 1e300 as a number of 301 digits, which json would read as an integer of that
    # length and nobody could write again; orjson reads it as the float that it was.
    options["json_deserializer"] = orjson.loads
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        # A failed statement is logged, its values are not: hashes and keys are among them.
        "hide_parameters": True,
        **options,
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS_DIR"]), compare_type=True)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _prepare_sqlite)
            event.listen(db.engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # None: the driver begins nothing by itself; `_begin_sqlite` does.
    connection.isolation_level = None
    # Its own knows the letters of ASCII alone, and searching would tell "Ärzte" from "ärzte".
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Any) -> None:
    if not connection.get_execution_options().get("statement_by_statement"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def reading_engine() -> Engine:
    """For reads beside an open unit of work: begins nothing, and so waits for no writer."""
    return _autocommit(db.engine)


@contextmanager
def unit_of_work() -> Iterator[None]:
    """One transaction: commits at the end, rolls back on any exception.

    Also a decorator. What was read before it is detached, so that nothing is decided on
    rows read outside of the transaction. Does not nest: services flush, their callers commit.

    :raises Maintenance: the service is read-only at present (core/maintenance.py).
    """
    session = db.session()
    if session.info.get("unit_of_work"):
        raise RuntimeError("a unit of work is already open; services flush, their callers commit")
    session.close()
    # Asked while no connection is held: the answer may need one, and the pool may have no other.
    if guard := current_app.extensions.get("devforge-write-guard"):
        guard()
    session.info["unit_of_work"] = True
    try:
        yield
        session.flush()
        while last := session.info.pop("before_commit", None):
            for call, items in last.items():
                call(items)
        session.commit()
    except BaseException:
        session.rollback()
        session.info.pop("before_commit", None)
        session.info.pop("after_commit", None)
        raise
    finally:
        session.info["unit_of_work"] = False
    for then in session.info.pop("after_commit", []):
        then()


class _OnlyTried(Exception):
    """Rolls a rehearsal back."""


@contextmanager
def rehearsed() -> Iterator[None]:
    """A unit of work that is taken back at its end, for dry runs; what cannot be written is refused."""
    try:
        with unit_of_work():
            yield
            db.session.flush()
            raise _OnlyTried
    except _OnlyTried:
        pass


def affected(statement: Update | Delete) -> int:
    """Run an update or a deletion, and tell how many rows it concerned: which of two was first."""
    result: Any = db.session.execute(statement)
    return int(result.rowcount)


def unedited(model: type[Timestamps], *which: ColumnElement[bool], **values: Any) -> Update:
    """An update that is no edit: version and ``updated_at`` stay. Objects read before do not learn of it."""
    statement = update(model).where(*which).values(updated_at=model.updated_at, **values)
    return statement.execution_options(synchronize_session=False)


def insert_into(model: type[Model]) -> postgresql.Insert | sqlite.Insert:
    """An insert of the database's own kind, which knows ``ON CONFLICT``."""
    return postgresql.insert(model) if db.engine.dialect.name == "postgresql" else sqlite.insert(model)


def before_commit(call: Callable[[list[T]], None], item: T) -> None:
    """Call this at the very end of the open unit of work, once, with all items that were given.

    For what needs a lock that everybody wants: taken last, it is held briefly, and nobody who
    holds it waits for another one.
    """
    db.session().info.setdefault("before_commit", {}).setdefault(call, []).append(item)


def after_commit(call: Callable[[], None]) -> None:
    """Call this once the open unit of work has committed; never after a rollback."""
    db.session().info.setdefault("after_commit", []).append(call)


def release_connection() -> None:
    """Give the connection back that reads have left with the session; what was read stays."""
    if db.session.registry.has():
        db.session.commit()


def in_unit_of_work() -> bool:
    """Whether a transaction is open in this context."""
    return db.session.registry.has() and bool(db.session().info.get("unit_of_work"))
