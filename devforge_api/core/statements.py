"""Selects that run with almost every request: one round trip, past the ORM.

Building, checking out and wrapping costs several times what PostgreSQL takes for a look-up by key.
Such a select is compiled once and prepared on a connection that is kept for nothing else.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from sqlalchemy import Engine, Select, event
from sqlalchemy.exc import DBAPIError

from devforge_api.core.db import db, in_unit_of_work, reading_engine

T = TypeVar("T")
Row = Sequence[Any]
Cursor = psycopg.Cursor[Any]


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
                with _cursor(engine) as cursor:
                    return compiled.run(cursor, values)
            except _WORTH_A_NEW_CONNECTION:  # nothing but read: it may be repeated
                engine.dispose()  # the pool's connections were cut as well
                with _cursor(engine) as cursor:
                    return compiled.run(cursor, values)
        except psycopg.Error as error:
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

    def run(self, cursor: Cursor, values: dict[str, Any]) -> Row | None:
        row = cursor.execute(self.text, values, prepare=True).fetchone()
        if row is None or not self._convert:
            return row
        converted = list(row)
        for place, processor in self._convert:
            converted[place] = processor(converted[place])
        return converted


# Each on a connection of its own; as many as there were statements at once.
_idle: weakref.WeakKeyDictionary[Engine, deque[Cursor]] = weakref.WeakKeyDictionary()


def _open(engine: Engine) -> Cursor:
    """A cursor on a connection that the pool has made and counts no longer."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    connection.autocommit = True
    cursor: Cursor = connection.cursor(binary=True)
    return cursor


@contextmanager
def _cursor(engine: Engine) -> Iterator[Cursor]:
    """A cursor for one statement; where that fails, its connection is closed."""
    idle = _idle.get(engine)
    if idle is None:
        idle = _idle.setdefault(engine, deque())
    try:
        cursor = idle.pop()  # the one used last
    except IndexError:
        cursor = _open(engine)
    try:
        yield cursor
    except BaseException:
        cursor.connection.close()
        raise
    idle.append(cursor)


@event.listens_for(Engine, "engine_disposed")
def close_idle(engine: Engine) -> None:
    """Close the connections that run no statement now."""
    for cursor in _idle.pop(engine, ()):
        cursor.connection.close()
