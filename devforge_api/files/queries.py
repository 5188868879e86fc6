"""What can be read about files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.orm import selectinload

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.files.errors import FileNotFound
from devforge_api.files.models import File, FileStatus, FileVariant, Purpose

UNFINISHED = (FileStatus.PENDING, FileStatus.SCANNED)
FILES = Listing(
    "FileQuery",
    key=File.id,
    filters={
        "status": File.status,
        "purpose": File.purpose,
        "media_type": File.media_type,
        "created_at": File.created_at,
    },
    sorts={"created_at": File.created_at, "size": File.size},
    load=(selectinload(File.variants),),
)


def files(owner_id: UUID) -> Select[File]:
    """A user's files."""
    return select(File).where(File.user_id == owner_id)


def get_file(file_id: UUID, *, owner_id: UUID | None, for_update: bool = False) -> File:
    """One file with its variants, as it is now.

    :param owner_id: None: whoever's.
    :raises FileNotFound: unknown, or another user's.
    """
    statement = select(File).where(File.id == file_id).options(selectinload(File.variants))
    if owner_id is not None:
        statement = statement.where(File.user_id == owner_id)
    if for_update:
        statement = statement.with_for_update()
    found = db.session.scalar(statement.execution_options(populate_existing=True))
    if found is None:
        raise FileNotFound
    return found


def find_file(file_id: UUID) -> File | None:
    """One file, as it is now."""
    return db.session.scalar(select(File).where(File.id == file_id).execution_options(populate_existing=True))


def find_avatar(file_id: UUID) -> File | None:
    """A picture that everybody may see."""
    is_shown = (File.purpose == Purpose.AVATAR, File.status == FileStatus.AVAILABLE)
    statement = select(File).where(File.id == file_id, *is_shown).options(selectinload(File.variants))
    return db.session.scalar(statement)


def avatars_of(user_id: UUID) -> Sequence[File]:
    """A user's avatars in whatever state, locked: there is one, but while another takes its place."""
    statement = select(File).where(File.user_id == user_id, File.purpose == Purpose.AVATAR)
    statement = statement.order_by(File.id).with_for_update().options(selectinload(File.variants))
    return db.session.scalars(statement.execution_options(populate_existing=True)).all()


def used(user_id: UUID) -> tuple[int, int]:
    """How many files a user has, and how many bytes they take of the quota."""
    statement = select(func.count(), func.coalesce(func.sum(File.counted_size), 0))
    files, size = db.session.execute(statement.where(File.user_id == user_id)).one()
    return files, int(size)


def unfinished(due_before: datetime, limit: int = 100) -> Sequence[File]:
    """Files that nobody works on any more, oldest first."""
    statement = select(File).where(File.status.in_(UNFINISHED), File.due_at < due_before)
    return db.session.scalars(statement.order_by(File.due_at).limit(limit)).all()


def count_unfinished(due_before: datetime) -> int:
    """How many wait since before a moment."""
    statement = select(func.count()).where(File.status.in_(UNFINISHED), File.due_at < due_before)
    return db.session.scalar(statement) or 0


def named_among(keys: Collection[str]) -> set[str]:
    """Those of the keys that a row names."""
    ours = select(File.storage_key).where(File.storage_key.in_(keys))
    variants = select(FileVariant.storage_key).where(FileVariant.storage_key.in_(keys))
    return set(db.session.scalars(union_all(ours, variants)))


def keys_of(user_id: UUID) -> list[str]:
    """Under which keys a user's contents are; the rows are locked, so that no step adds others."""
    ours = select(File.storage_key).where(File.user_id == user_id).order_by(File.id).with_for_update()
    variants = select(FileVariant.storage_key).join(File).where(File.user_id == user_id)
    return [*db.session.scalars(ours), *db.session.scalars(variants)]
