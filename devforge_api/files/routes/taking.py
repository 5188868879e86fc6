"""From a request's file to a row that can be had: what uploads and avatars share."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError
from devforge_api.core.scanner import ScannerAway
from devforge_api.core.storage.base import StorageAway
from devforge_api.core.uploads import Upload
from devforge_api.files import queries
from devforge_api.files.errors import FileRejected
from devforge_api.files.models import File, FileStatus, Purpose
from devforge_api.files.service import intake, work

# For so long the next step is begun within the request, whose claim on its key ends after a minute.
PATIENCE_SECONDS = 20
log = logging.getLogger(__name__)


def check_room(declared: int | None) -> None:
    """Refuse before the file is read, where there will be no room for it."""
    intake.check_room(principal().user_id, declared)


def take(upload: Upload, purpose: Purpose) -> UUID:
    """Keep a file and do all that can be done with it now. Returns the row's id.

    :raises FileRejected: it is harmful or broken; the row says so, too.
    """
    user_id = principal().user_id
    arrived = intake.examine(
        upload.file, name=upload.name, size=upload.size, sha256=upload.sha256, purpose=purpose
    )
    key = intake.keep(arrived)
    try:
        with unit_of_work():
            file_id = intake.enter(user_id, arrived, key, purpose).id
    except DomainError:
        intake.drop(key)  # after another failure nobody knows whether the row is there
        raise
    try:
        late = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < late and (then := work.next_step(file_id, upload.file)) is not None:
            with unit_of_work():
                then()
    except (ScannerAway, StorageAway) as error:
        log.warning("a file waits to be looked through: %s", error, extra={"file_id": str(file_id)})
    return file_id


def standing(file_id: UUID) -> File:
    """The row as it is now.

    :raises FileRejected: it is quarantined.
    """
    file = queries.get_file(file_id, owner_id=principal().user_id)
    if file.status is FileStatus.QUARANTINED:
        raise FileRejected(None, reason=file.reason, file_id=str(file_id))
    return file
