"""What is known of somebody by their files: the rows, and the contents themselves."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, select

from devforge_api.core.db import db, release_connection
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run
from devforge_api.core.storage.base import ContentMissing
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries
from devforge_api.files.models import File, FileStatus, FileVariant
from devforge_api.files.service.removal import discard

HIDDEN = frozenset({"storage_key"})


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    yield "files", rows(File, File.user_id == subject.user_id, without=HIDDEN)
    theirs = FileVariant.file_id.in_(select(File.id).where(File.user_id == subject.user_id))
    yield "file_variants", rows(FileVariant, theirs, without=HIDDEN)


def _contents(subject: Subject) -> Iterator[tuple[str, Iterator[bytes]]]:
    """What can be had; of what is quarantined only the row."""
    available = (File.user_id == subject.user_id, File.status == FileStatus.AVAILABLE)
    found = db.session.execute(
        select(File.id, File.name, File.storage_key).where(*available).order_by(File.id)
    )
    for file_id, name, key in found.all():
        release_connection()
        yield f"{file_id}/{name}", _pieces(key)


def _pieces(key: str) -> Iterator[bytes]:
    try:
        content = storage().open(key)
    except ContentMissing:
        return  # deleted meanwhile, or lost: the rest is to be had all the same
    try:
        yield from content
    finally:
        content.close()


def _erase(subject: Subject) -> Iterator[Erased]:
    """The rows now, the contents once that is committed."""
    discard(queries.keys_of(subject.user_id))
    theirs = select(File.id).where(File.user_id == subject.user_id)
    yield run("file_variants", "removed", delete(FileVariant).where(FileVariant.file_id.in_(theirs)))
    yield run("files", "removed", delete(File).where(File.user_id == subject.user_id))


FILES_DATA = PersonalData("files", frozenset({"files", "file_variants"}), _export, _erase, _contents)
