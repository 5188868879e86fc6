"""Selects that run with almost every request: one round trip, past the ORM.

Building, checking out and wrapping costs several times what PostgreSQL takes for a look-up by key.
Such a select is compiled once and prepared on a connection that is kept for nothing else. It is
run by libpq's one blocking call: a cursor of psycopg sends, polls and reads in four, each of which
gives the interpreter's lock away and has to get it back.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
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
                with _kept(engine) as kept:
                    return compiled.run(kept, values)
            except _WORTH_A_NEW_CONNECTION:  # nothing but read: it may be repeated
                engine.dispose()  # the pool's connections were cut as well
                with _kept(engine) as kept:
                    return compiled.run(kept, values)
        except psycopg.Error as error:
            raise DBAPIError.instance(
                compiled.text, None, error, psycopg.Error, hide_parameters=True, dialect=engine.dialect
            ) from error


# Cut while it was idle; or a migration has changed a column's type under the prepared statement.
_WORTH_A_NEW_CONNECTION = (psycopg.OperationalError, psycopg.errors.FeatureNotSupported)


class _Compiled:
    """The text for the driver, and which columns the types still have to convert."""

    def __init__(self, select: Select[*tuple[Any, ...]], engine: Engine, values: dict[str, Any]) -> None:
        dialect: Any = type(engine.dialect)
        compiled: Any = select.compile(dialect=dialect(paramstyle="numeric_dollar"))
        expanded = compiled.construct_expanded_state(values)
        self.text: str = expanded.statement
        self._order: list[str] = expanded.positiontup or []
        self._formats = [PyFormat.TEXT] * len(self._order)
        self._convert = []
        for place, column in enumerate(select.selected_columns):
            kind = column.type.dialect_impl(engine.dialect)
            if processor := kind.result_processor(engine.dialect, None):
                self._convert.append((place, processor))

    def run(self, kept: Kept, values: dict[str, Any]) -> Row | None:
        sent = kept.adapt.dump_sequence([values[name] for name in self._order], self._formats)
        row = kept.first_row(self, self.text, sent)
        if row is None or not self._convert:
            return row
        converted = list(row)
        for place, processor in self._convert:
            converted[place] = processor(converted[place])
        return converted


class Kept:
    """A connection for prepared statements alone, and which ones it knows."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.adapt = Transformer(connection)
        self._names: dict[object, bytes] = {}

    def first_row(self, statement: object, text: str, values: Sequence[Any]) -> Row | None:
        """Run a statement, by the name that it was prepared under.

        :raises psycopg.Error: what the cursor of psycopg would raise.
        """
        name = self._names.get(statement)
        if name is None:
            name = b"devforge_%d" % len(self._names)
            self._check(self.connection.pgconn.prepare(name, text.encode()), pq.ExecStatus.COMMAND_OK)
            self._names[statement] = name
        result = self.connection.pgconn.exec_prepared(name, values, None, pq.Format.BINARY)
        self._check(result, pq.ExecStatus.TUPLES_OK)
        if not result.ntuples:
            return None
        self.adapt.set_pgresult(result)
        row: Row = self.adapt.load_row(0, tuple)
        return row

    def _check(self, result: Any, expected: pq.ExecStatus) -> None:
        if result.status == expected:
            return
        # Only a server that is there gives its refusals a code; what libpq finds out by itself has none,
        # and the connection's status may be good until the next attempt.
        if result.error_field(pq.DiagnosticField.SQLSTATE) is None:
            raise psycopg.OperationalError("the connection is lost")
        raise psycopg.errors.error_from_result(result)


# As many as there were statements at once.
_idle: weakref.WeakKeyDictionary[Engine, deque[Kept]] = weakref.WeakKeyDictionary()


def _open(engine: Engine) -> Kept:
    """A connection that the pool has made and counts no longer."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    pooled.detach()
    connection.autocommit = True
    return Kept(connection)


@contextmanager
def _kept(engine: Engine) -> Iterator[Kept]:
    """A connection for one statement; where that fails, it is closed."""
    idle = _idle.get(engine)
    if idle is None:
        idle = _idle.setdefault(engine, deque())
    try:
        kept = idle.pop()  # the one used last
    except IndexError:
        kept = _open(engine)
    try:
        yield kept
    except BaseException:
        kept.connection.close()
        raise
    idle.append(kept)


@event.listens_for(Engine, "engine_disposed")
def close_idle(engine: Engine) -> None:
    """Close the connections that run no statement now."""
    for kept in _idle.pop(engine, ()):
        kept.connection.close()
