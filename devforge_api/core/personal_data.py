"""What the service knows of one person: written into an archive, or erased.

Each domain tells its part, which the registry installs; every table belongs to one part, or holds
nothing personal for a stated reason (a test walks all tables).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import UUID

import orjson
from flask import Flask, current_app
from sqlalchemy import ColumnElement, Delete, Update, literal, select, tuple_

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import Base, affected, db
from devforge_api.core.slots import lend_slot

PAGE = 500  # rows read at a time
README = (
    "Everything that this service keeps about the account, one JSON file a topic, and the files that were "
    "uploaded. Left out is what "
    "would open a door to whoever finds the archive: passwords, keys, codes and their hashes."
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data they are."""

    user_id: UUID
    email: str
    email_verified: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a table's rows: ``removed``, or ``anonymized`` where they must stay."""

    table: str
    deed: str
    rows: int


@dataclass(frozen=True, slots=True)
class PersonalData:
    """A domain's part.

    :param tables: that it answers for.
    :param export: the topics, and the rows of each; without secrets.
    :param erase: in the transaction that deletes the user, whose row is locked; flushes.
    :param contents: files that belong to it, if there are such: a name, and the bytes.
    """

    name: str
    tables: frozenset[str]
    export: Callable[[Subject], Iterable[tuple[str, Iterable[Row]]]]
    erase: Callable[[Subject], Iterable[Erased]]
    contents: Callable[[Subject], Iterable[tuple[str, Iterator[bytes]]]] | None = None


def install(app: Flask, parts: tuple[PersonalData, ...]) -> None:
    """Tell the domains' parts, in the order in which they are erased."""
    app.extensions["devforge-personal-data"] = parts


def write_archive(subject: Subject, file: BinaryIO) -> None:
    """Write everything as a ZIP, a page of rows at a time; outside of a transaction.

    :param file: writable; may be a pipe.
    """
    told: list[dict[str, Any]] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in _parts():
            for topic, found in part.export(subject):
                entry = zipfile.ZipInfo(f"{part.name}/{topic}.json", utc_now().timetuple()[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as target:
                    told.append({"file": entry.filename, "rows": _write_array(found, target)})
            for name, pieces in part.contents(subject) if part.contents else ():
                entry = zipfile.ZipInfo(f"{part.name}/contents/{name}", utc_now().timetuple()[:6])
                with archive.open(entry, "w", force_zip64=True) as target, lend_slot():
                    size = sum(target.write(piece) for piece in pieces)
                told.append({"file": entry.filename, "bytes": size})
        manifest = {
            "user_id": subject.user_id,
            "email": subject.email,
            "made_at": rfc3339(utc_now()),
            "about": README,
            "files": told,
        }
        archive.writestr("manifest.json", _json(manifest))


def count(subject: Subject) -> dict[str, int]:
    """How many rows each topic holds."""
    return {
        f"{part.name}/{topic}": sum(1 for _ in found)
        for part in _parts()
        for topic, found in part.export(subject)
    }


def erase(subject: Subject) -> list[tuple[str, Erased]]:
    """Erase everything but the user's own row, in the open transaction.

    :returns: what became of which domain's rows.
    """
    return [(part.name, erased) for part in _parts() for erased in part.erase(subject)]


def rows(
    model: type[Base], *where: ColumnElement[bool], without: frozenset[str] = frozenset()
) -> Iterator[Row]:
    """A table's rows as they are stored, page by page in the order of the primary key.

    :param without: columns that hold secrets.
    """
    table: Any = model.__table__
    keys = list(table.primary_key)
    page = select(*(column for column in table.c if column.name not in without)).where(*where)
    page, last = page.order_by(*keys).limit(PAGE), None
    while True:
        following = page if last is None else page.where(tuple_(*keys) > tuple_(*last))
        found = db.session.execute(following).mappings().all()
        # Names that SQL must quote are of a type of their own, which JSON does not take.
        yield from ({str(name): value for name, value in row.items()} for row in found)
        if len(found) < PAGE:
            return
        last = [literal(found[-1][key.name], key.type) for key in keys]


def run(table: str, deed: str, statement: Update | Delete) -> Erased:
    """Run an eraser's statement, and tell how many rows it concerned."""
    return Erased(table, deed, affected(statement.execution_options(synchronize_session=False)))


def _write_array(found: Iterable[Row], target: Any) -> int:
    written = 0
    target.write(b"[")
    for row in found:
        target.write(b",\n" if written else b"\n")
        target.write(_json(row))
        written += 1
    target.write(b"\n]\n" if written else b"]\n")
    return written


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2)


def _parts() -> tuple[PersonalData, ...]:
    parts: tuple[PersonalData, ...] = current_app.extensions["devforge-personal-data"]
    return parts
