"""Can files be kept and looked through, and does none wait for long?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.scanner import ScannerAway, scanner
from devforge_api.core.storage.base import StorageAway
from devforge_api.core.storage.configured import storage
from devforge_api.files.service.work import count_waiting
from devforge_api.ops.doctor.report import Finding, Health

LONG = timedelta(minutes=15)


def files() -> Iterator[Finding]:
    """The storage and the scanner answer, and files get through."""
    try:
        yield Finding("files", Health.OK, storage().check())
    except StorageAway as error:
        advice = "check DEVFORGE_STORAGE_URL and DEVFORGE_S3_…, or the folder's permissions"
        yield Finding("files", Health.FAILED, str(error), advice)
    clamd = scanner()
    if clamd is None:
        yield Finding("files", Health.OK, "nothing is looked through: DEVFORGE_FILE_SCANNER is not set")
    else:
        try:
            yield Finding("files", Health.OK, clamd.check())
        except ScannerAway as error:
            yield Finding("files", Health.FAILED, str(error), "uploads wait until it answers")
    if waiting := count_waiting(utc_now() - LONG):
        minutes = LONG.seconds // 60
        seen = f"{waiting} files wait for more than {minutes} minutes"
        yield Finding(
            "files", Health.WARNING, seen, "is the worker running? `flask files list --status pending`"
        )
