"""Taking a file in: what it is, whether there is room, and where it is kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.core import configured
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.slots import lend_slot
from devforge_api.core.storage.base import StorageAway, new_key
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries
from devforge_api.files.errors import FileRejected, FileTypeRefused, QuotaExceeded
from devforge_api.files.models import File, Purpose
from devforge_api.files.service import kinds, names, pictures
from devforge_api.files.service.pictures import PictureRefused
from devforge_api.users import service as users

# For so long whoever has taken a file in works on it; then somebody else does.
CLAIM = timedelta(seconds=60)
MOST_FILES = 10_000  # of one user: small ones need room, too
ENVELOPE = 64 * 1024  # what a form has beside the file, at most
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that may come in, and that nothing knows of yet."""

    file: BinaryIO
    name: str
    media_type: str
    size: int
    sha256: str
    width: int | None
    height: int | None


def check_room(user_id: UUID, declared: int | None) -> None:
    """Refuse before anything is read, where the request's length tells that there is no room.

    :raises QuotaExceeded: there will be none.
    """
    if declared is not None:
        _insist_on_room(user_id, max(0, declared - ENVELOPE))


def examine(file: BinaryIO, *, name: str, size: int, sha256: str, purpose: Purpose) -> Arrived:
    """Find out what a file is, without decoding any of it.

    :raises FileTypeRefused: nothing that is taken, or not what its name says.
    :raises FileRejected: a picture whose header says that it is too large, or that has none.
    """
    media_type = kinds.identify(file)
    if media_type is None:
        raise FileTypeRefused
    if names.is_false(name, media_type) or (purpose is Purpose.AVATAR and media_type not in names.PICTURES):
        raise FileTypeRefused(None, media_type=media_type)
    width = height = None
    if media_type in names.PICTURES:
        try:
            width, height = pictures.look(file, media_type)
        except PictureRefused as refused:
            raise FileRejected(None, reason=refused.reason) from refused
    return Arrived(file, names.harmless(name, media_type), media_type, size, sha256, width, height)


def keep(arrived: Arrived) -> str:
    """Bring the content into the storage, before any row names it. Returns its key.

    :raises StorageAway: it is not there.
    """
    key = new_key()
    with lend_slot():
        storage().put(key, arrived.file, arrived.size, arrived.media_type)
    return key


def enter(user_id: UUID, arrived: Arrived, key: str, purpose: Purpose) -> File:
    """Make the row, if the user has room: their row is locked, so that uploads at once wait in line.

    :raises QuotaExceeded: they have not.
    """
    users.get_user(user_id, for_update=True)
    _insist_on_room(user_id, arrived.size)
    row = File(
        user_id=user_id,
        purpose=purpose,
        name=arrived.name,
        media_type=arrived.media_type,
        size=arrived.size,
        counted_size=arrived.size,
        sha256=arrived.sha256,
        width=arrived.width,
        height=arrived.height,
        storage_key=key,
        due_at=utc_now() + CLAIM,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("file.uploaded", target_type="file", target_id=row.id)
    return row


def drop(key: str) -> None:
    """Remove what no row names after all; what is left behind is collected later."""
    try:
        with lend_slot():
            storage().delete([key])
    except StorageAway as error:
        log.warning("a content was left behind: %s", error)


def _insist_on_room(user_id: UUID, size: int) -> None:
    limit, (files, used) = configured.number("FILES_QUOTA_BYTES"), queries.used(user_id)
    if used + size > limit or files >= MOST_FILES:
        raise QuotaExceeded(None, limit=limit, used=used, most_files=MOST_FILES, files=files)
