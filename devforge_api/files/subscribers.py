"""What is done about files outside of requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from devforge_api.core.outbox import Lane, Undeliverable, emit, on
from devforge_api.core.scanner import ScannerAway
from devforge_api.core.storage.base import StorageAway
from devforge_api.core.storage.configured import storage
from devforge_api.files.service import orphans, work

log = logging.getLogger(__name__)


@on("file.unfinished", outside=True, lane=Lane.FILES)
def go_on(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Do the next step with a file whose worker is gone, and have the one after it done as well."""
    file_id = UUID(payload["file_id"])
    try:
        then = work.next_step(file_id, outside=True)
    except (ScannerAway, StorageAway) as error:
        log.warning("a file waits to be looked through: %s", error, extra={"file_id": str(file_id)})
        return partial(work.put_off, file_id)
    return None if then is None else partial(_note_and_go_on, then, payload)


def _note_and_go_on(then: Callable[[], None], payload: dict[str, Any]) -> None:
    then()
    emit("file.unfinished", **payload)  # finds nothing to do after the last step


@on("file.content_unneeded", outside=True, lane=Lane.FILES)
def forget(payload: dict[str, Any]) -> None:
    """Remove contents that no row names any more."""
    storage().delete(payload["keys"])


@on("file.orphans_due", outside=True, lane=Lane.FILES)
def collect(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Remove a page of contents that no row has ever named, and go on with the next one."""
    try:
        further = orphans.remove_page(payload["after_key"])
    except orphans.NotOurs as error:
        raise Undeliverable(str(error)) from error
    return None if further is None else partial(emit, "file.orphans_due", after_key=further)
