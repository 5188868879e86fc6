"""When licences were validated first and last: noted in memory, written in batches.

A validation takes no lock and writes nothing on its way (docs/licensing.md), so both moments
reach the database some seconds late.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Engine,
    Uuid,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
    update,
)

from devforge_api.core.db import db
from devforge_api.core.flushing import flush_soon
from devforge_api.core.json import dump
from devforge_api.licenses.models import ExpiryBasis, License, Policy
from devforge_api.licenses.service import durations

BATCH = 500  # licences in one statement, whose rows are locked until their times have begun
KEPT_AT_MOST = 20_000  # licences; while they cannot be written, those noted first are forgotten first
Moments = tuple[datetime, datetime]  # the first and the last one that are noted


class Notes:
    """What a process has noted and not written yet."""

    def __init__(self) -> None:
        self._noted: dict[UUID, Moments] = {}
        self._guard = threading.Lock()

    def add(self, license_id: UUID, first: datetime, last: datetime) -> int:
        """Note two moments, in whatever order; how many licences are noted now."""
        with self._guard:
            known = self._noted.get(license_id)
            if known is not None:
                first, last = min(first, known[0]), max(last, known[1])
            elif len(self._noted) >= KEPT_AT_MOST:
                del self._noted[next(iter(self._noted))]
            self._noted[license_id] = first, last
            return len(self._noted)

    def take(self) -> dict[UUID, Moments]:
        """At most a batch, those noted first."""
        with self._guard:
            ids = [license_id for license_id, _ in zip(self._noted, range(BATCH), strict=False)]
            return {license_id: self._noted.pop(license_id) for license_id in ids}


# By the database that they are for.
_notes: weakref.WeakKeyDictionary[Engine, Notes] = weakref.WeakKeyDictionary()


def _of_database() -> Notes:
    engine = db.engine
    return _notes.get(engine) or _notes.setdefault(engine, Notes())


def note(license_id: UUID, at: datetime) -> None:
    """Remember that a licence was validated."""
    if _of_database().add(license_id, at, at) == BATCH:
        flush_soon()


@contextmanager
def batch() -> Iterator[dict[UUID, Moments]]:
    """What was noted, at most a batch; noted again where the block fails."""
    notes = _of_database()
    taken = notes.take()
    try:
        yield taken
    except BaseException:
        for license_id, (first, last) in taken.items():
            notes.add(license_id, first, last)
        raise


# Rows are locked by their ids' order: several processes may write the same ones at once. The batch is one
# value: as arrays, the driver takes longer over 500 moments than PostgreSQL over the whole statement.
_WRITE = text("""
WITH noted AS (
    SELECT licenses.id, given.first_at, given.last_at
    FROM json_to_recordset(CAST(:noted AS json))
        AS given (license_id uuid, first_at timestamptz, last_at timestamptz)
    JOIN licenses ON licenses.id = given.license_id
    ORDER BY licenses.id
    FOR NO KEY UPDATE OF licenses
)
UPDATE licenses
SET first_validated_at = least(first_validated_at, noted.first_at),
    last_validated_at = greatest(last_validated_at, noted.last_at)
FROM noted WHERE licenses.id = noted.id
""")
_TABLE = License.__table__.c
_WRITE_ONE = (
    update(License.__table__)  # type: ignore[arg-type]
    .where(_TABLE.id == bindparam("license_id"))
    .values(
        first_validated_at=func.min(
            func.coalesce(_TABLE.first_validated_at, bindparam("first_at", type_=_TABLE.created_at.type)),
            bindparam("first_at", type_=_TABLE.created_at.type),
        ),
        last_validated_at=func.max(
            func.coalesce(_TABLE.last_validated_at, bindparam("last_at", type_=_TABLE.created_at.type)),
            bindparam("last_at", type_=_TABLE.created_at.type),
        ),
        updated_at=_TABLE.updated_at,  # nobody has edited it
    )
)


def write(noted: dict[UUID, Moments]) -> None:
    """Write a batch by one statement, in whatever order batches come; some licences' time begins."""
    if not noted:
        return
    rows = [{"license_id": key, "first_at": first, "last_at": last} for key, (first, last) in noted.items()]
    if db.engine.dialect.name == "postgresql":
        db.session.execute(_WRITE, {"noted": dump(rows).decode()})
        among = License.id == any_(literal(list(noted), ARRAY(Uuid())))
    else:
        db.session.connection().execute(_WRITE_ONE, rows)
        among = License.id.in_(noted)
    for license_id in _waiting(among):
        # Not since the first one that is known: then its order may have waited, or its policy may have
        # been another one.
        durations.begin(license_id, ExpiryBasis.FIRST_VALIDATION, noted[license_id][0])


def _waiting(among: ColumnElement[bool]) -> Sequence[UUID]:
    """Those whose time begins with their first validation, and has not begun."""
    statement = (
        select(License.id)
        .join(Policy, Policy.id == License.policy_id)
        .where(
            among,
            License.expires_at.is_(None),
            Policy.expiry_basis == ExpiryBasis.FIRST_VALIDATION,
        )
        .order_by(License.id)
    )
    return db.session.scalars(statement).all()
