"""What is done with a file until it can be had: one step at a time, each of them by one update.

A step does what takes long with no transaction open, and returns a function for the unit of work
which notes that. Whoever is killed in between leaves the file as it was; whoever comes second changes
nothing, and gives back what it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import update

from devforge_api.audit import service as audit
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db, release_connection
from devforge_api.core.outbox import emit
from devforge_api.core.scanner import TooLargeToScan, scanner
from devforge_api.core.slots import lend_slot
from devforge_api.core.storage.base import ContentMissing, new_key, scratch
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries
from devforge_api.files.models import File, FileStatus, FileVariant, Purpose
from devforge_api.files.service import avatars, pictures
from devforge_api.files.service.intake import CLAIM
from devforge_api.files.service.names import PICTURES
from devforge_api.files.service.pictures import Made, PictureRefused
from devforge_api.files.service.removal import discard

# Until it is tried again: after the storage or the scanner were away, and after somebody was asked.
PAUSE, PATIENCE = timedelta(minutes=2), timedelta(minutes=15)
# A picture that ends whoever decodes it (for want of memory, say) is given up after so many.
ATTEMPTS = 3
Then = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a step begins with."""

    id: UUID
    user_id: UUID
    status: FileStatus
    purpose: Purpose
    media_type: str
    key: str


def next_step(file_id: UUID, content: BinaryIO | None = None, *, outside: bool = False) -> Then | None:
    """Do the next step; None: nothing is left to be done.

    :param content: the file's bytes, where they are at hand.
    :param outside: of the request that has brought it: its user is told of the end.
    :raises StorageAway: the file stays as it is. :raises ScannerAway: likewise.
    """
    row = queries.find_file(file_id)
    if row is None or row.status not in queries.UNFINISHED:
        return None
    seen = _Seen(row.id, row.user_id, row.status, row.purpose, row.media_type, row.storage_key)
    release_connection()
    with lend_slot():
        try:
            if seen.status is FileStatus.PENDING:
                return _look_through(seen, content, outside=outside)
            return _finish(seen, content, outside=outside)
        except ContentMissing:
            return partial(_quarantine, seen, "content_missing", outside=outside)


def _look_through(seen: _Seen, content: BinaryIO | None, *, outside: bool) -> Then:
    found = None
    if (clamd := scanner()) is not None:
        with _at_hand(seen.key, content) as file:
            try:
                found = "malware" if clamd.scan(file) else None
            except TooLargeToScan:
                found = "too_large_to_scan"
    return partial(_quarantine, seen, found, outside=outside) if found else partial(_note_scanned, seen.id)


def _finish(seen: _Seen, content: BinaryIO | None, *, outside: bool) -> Then:
    if seen.media_type not in PICTURES:
        return partial(_publish, seen, {}, [], outside=outside)
    square = seen.purpose is Purpose.AVATAR
    try:
        with (
            _at_hand(seen.key, content) as file,
            pictures.remade(file, seen.media_type, square=square) as (whole, smaller),
        ):
            values = {**_as_columns(whole), "storage_key": _put(whole), "sha256": whole.sha256}
            variants = [
                {"name": name, **_as_columns(made), "storage_key": _put(made)}
                for name, made in smaller.items()
            ]
    except PictureRefused as refused:
        return partial(_quarantine, seen, refused.reason, outside=outside)
    return partial(_publish, seen, values, variants, outside=outside)


def _as_columns(made: Made) -> dict[str, Any]:
    return {"media_type": made.media_type, "size": made.size, "width": made.width, "height": made.height}


def _put(made: Made) -> str:
    key = new_key()
    storage().put(key, made.file, made.size, made.media_type)
    return key


@contextmanager
def _at_hand(key: str, content: BinaryIO | None) -> Iterator[BinaryIO]:
    if content is not None:
        yield content
        return
    with fetched(key) as file:
        yield file


@contextmanager
def fetched(key: str) -> Iterator[BinaryIO]:
    """A content, as a file without a name.

    :raises ContentMissing: it is not there. :raises StorageAway: try again.
    """
    with scratch() as file:
        pieces = storage().open(key)
        try:
            for piece in pieces:
                file.write(piece)
        finally:
            pieces.close()
        yield file


def _note_scanned(file_id: UUID) -> None:
    _move(file_id, FileStatus.PENDING, status=FileStatus.SCANNED, due_at=utc_now() + CLAIM, attempts=0)


def _publish(seen: _Seen, values: dict[str, Any], variants: list[dict[str, Any]], *, outside: bool) -> None:
    """The file can be had. What was sent goes, where something else was made of it."""
    made = [one["storage_key"] for one in [values, *variants] if one]
    is_avatar = seen.purpose is Purpose.AVATAR
    if is_avatar:
        avatars.lock_owner(seen.user_id)
    if not _move(seen.id, FileStatus.SCANNED, status=FileStatus.AVAILABLE, **values):
        discard(made)  # somebody else was faster, or its user has deleted it
        return
    db.session.add_all(FileVariant(file_id=seen.id, **one) for one in variants)
    db.session.flush()
    if made:
        discard([seen.key])
    if is_avatar:
        avatars.settle(seen.user_id)
    if outside:
        emit("file.available", file_id=str(seen.id))


def _quarantine(seen: _Seen, reason: str, *, outside: bool) -> None:
    quarantine(seen.id, seen.status, reason, told=outside)


def quarantine(file_id: UUID, was: FileStatus, reason: str, *, told: bool) -> bool:
    """Give a file's content to nobody any more, if it still is in a state. Returns whether it was."""
    if not _move(file_id, was, status=FileStatus.QUARANTINED, reason=reason):
        return False
    changes = {"status": (was, FileStatus.QUARANTINED), "reason": (None, reason)}
    audit.record("file.quarantined", target_type="file", target_id=file_id, changes=changes)
    if told:
        emit("file.quarantined", file_id=str(file_id))
    return True


def look_through_again(file_id: UUID) -> bool:
    """Let a quarantined file go its way once more, by `call_for_unfinished`. Returns whether it was one."""
    values = {"status": FileStatus.PENDING, "reason": None, "attempts": 0, "due_at": utc_now()}
    return _move(file_id, FileStatus.QUARANTINED, **values)


def _move(file_id: UUID, was: FileStatus, **values: Any) -> bool:
    statement = update(File).where(File.id == file_id, File.status == was).values(**values)
    return affected(statement.execution_options(synchronize_session=False)) == 1


def call_for_unfinished() -> int:
    """Have somebody go on with files whose worker is gone. Returns with how many."""
    now, called = utc_now(), 0
    for row in queries.unfinished(now):
        if row.attempts >= ATTEMPTS and row.status is FileStatus.SCANNED:
            quarantine(row.id, row.status, "unreadable_image", told=True)
            continue
        mine = update(File).where(File.id == row.id, File.due_at == row.due_at, File.status == row.status)
        values = {"due_at": now + PATIENCE, "attempts": File.attempts + 1, "updated_at": File.updated_at}
        if affected(mine.values(**values).execution_options(synchronize_session=False)):
            emit("file.unfinished", file_id=str(row.id))
            called += 1
    return called


def count_waiting(since: datetime) -> int:
    """How many files nobody works on since before a moment."""
    return queries.count_unfinished(since)


def put_off(file_id: UUID) -> None:
    """What the file needs was away: it is tried again soon, and that counts for no attempt."""
    statement = update(File).where(File.id == file_id, File.status.in_(queries.UNFINISHED))
    values = {"due_at": utc_now() + PAUSE, "attempts": 0, "updated_at": File.updated_at}
    db.session.execute(statement.values(**values).execution_options(synchronize_session=False))
