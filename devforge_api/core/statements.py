"""Selects that run with almost every request: one round trip, past the ORM.

Building, checking out and wrapping costs several times what PostgreSQL takes for a look-up by key.
Such a select is compiled once and prepared on a connection of the thread's own.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy import Engine, Select, event
from sqlalchemy.exc import DBAPIError

from devforge_api.core.db import db, in_unit_of_work, reading_engine

T = TypeVar("T")
Row = Sequence[Any]


class Prepared(Generic[T]):
    """A select of at most one row.

    :param select: with a `bindparam` for every value.
    :param into: makes a result of the row's columns.
    """

    def __init__(self, select: Select[*tuple[Any, ...]], into: Callable[..., T]) -> None:
        self._select = select
        self._into = into
        self._compiled: _Compiled | None = None

    def first(self, **values: Any) -> T | None:
        """The row, or None. Inside a unit of work it sees what was written there.

        :param values: as the driver takes them: text, numbers, UUIDs.
        :raises DBAPIError: as every statement does.
        """
        row: Row | None
        if in_unit_of_work():
            row = db.session.execute(self._select, values).first()
        elif db.engine.dialect.name == "postgresql":
            row = self._ask(db.engine, values)
        else:
            with reading_engine().connect() as connection:
                row = connection.execute(self._select, values).first()
        return None if row is None else self._into(*row)

    def _ask(self, engine: Engine, values: dict[str, Any]) -> Row | None:
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = _Compiled(self._select, engine, values)
        try:
            try:
                return compiled.run(_cursor(engine), values)
            except _WORTH_A_NEW_CONNECTION:
                _drop(engine)  # nothing but read: it may be repeated
                return compiled.run(_cursor(engine), values)
        except psycopg.Error as error:
            _drop(engine)
            raise DBAPIError.instance(
                compiled.text, None, error, psycopg.Error, hide_parameters=True, dialect=engine.dialect
            ) from error


# Cut while it was idle; or a migration has changed a column's type under the prepared statement.
_WORTH_A_NEW_CONNECTION = (psycopg.OperationalError, psycopg.errors.FeatureNotSupported)


class _Compiled:
    """The text for the driver, and which columns the types still have to convert."""

    def __init__(self, select: Select[*tuple[Any, ...]], engine: Engine, values: dict[str, Any]) -> None:
        compiled: Any = select.compile(dialect=engine.dialect)
        self.text: str = compiled.construct_expanded_state(values).statement
        self._convert = []
        for place, column in enumerate(select.selected_columns):
            kind = column.type.dialect_impl(engine.dialect)
            if processor := kind.result_processor(engine.dialect, None):
                self._convert.append((place, processor))

    def run(self, cursor: psycopg.Cursor[Any], values: dict[str, Any]) -> Row | None:
        row = cursor.execute(self.text, values, prepare=True).fetchone()
        if row is None or not self._convert:
            return row
        converted = list(row)
        for place, processor in self._convert:
            converted[place] = processor(converted[place])
        return converted


class _Lane:
    """One thread's connection; closed when the thread ends, or the engine is disposed of."""

    def __init__(self, engine: Engine) -> None:
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()  # made as the pool makes them, and from now on not the pool's
        connection.autocommit = True
        self.connection: psycopg.Connection[Any] = connection
        self.cursor: psycopg.Cursor[Any] = connection.cursor(binary=True)

    def __del__(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()


_lanes: weakref.WeakKeyDictionary[Engine, threading.local] = weakref.WeakKeyDictionary()


def _cursor(engine: Engine) -> psycopg.Cursor[Any]:
    lanes = _lanes.get(engine)
    if lanes is None:
        lanes = _lanes.setdefault(engine, threading.local())
    lane: _Lane | None = getattr(lanes, "lane", None)
    if lane is None:
        lane = lanes.lane = _Lane(engine)
    return lane.cursor


def _drop(engine: Engine) -> None:
    """Make a new connection for this thread's next statement."""
    if lanes := _lanes.get(engine):
        lanes.__dict__.pop("lane", None)


@event.listens_for(Engine, "engine_disposed")
def _drop_all(engine: Engine) -> None:
    _lanes.pop(engine, None)
