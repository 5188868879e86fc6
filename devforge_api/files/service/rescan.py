"""Looking through files once more, as when the scanner has learnt something new."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from devforge_api.core.db import release_connection
from devforge_api.core.scanner import Clamd, TooLargeToScan
from devforge_api.core.storage.base import ContentMissing
from devforge_api.files import queries
from devforge_api.files.models import FileStatus
from devforge_api.files.service import work

# Reasons that another look may take back.
BY_SCANNER = frozenset({"malware", "too_large_to_scan"})


def scan_again(file_id: UUID, clamd: Clamd) -> tuple[str, Callable[[], bool] | None]:
    """What is found in a file now, and what that changes, for a unit of work; None: nothing.

    :returns: ``clean``, ``released``, ``unfinished``, or why it is harmful.
    :raises StorageAway: it could not be read. :raises ScannerAway: it could not be looked through.
    """
    file = queries.get_file(file_id, owner_id=None)
    was, key, reason = file.status, file.storage_key, file.reason
    release_connection()
    if was in queries.UNFINISHED:
        return "unfinished", None
    try:
        with work.fetched(key) as content:
            found = "malware" if clamd.scan(content) else None
    except TooLargeToScan:
        found = "too_large_to_scan"
    except ContentMissing:
        return "content_missing", None
    if was is FileStatus.AVAILABLE:
        change = partial(work.quarantine, file_id, was, found, told=True) if found else None
        return found or "clean", change
    if found is None and reason in BY_SCANNER:
        return "released", partial(work.look_through_again, file_id)
    return found or reason or "clean", None
