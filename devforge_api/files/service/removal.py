"""Deleting files: their rows at once, their contents after the commit."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sqlalchemy import delete

from devforge_api.audit import service as audit
from devforge_api.core.db import db
from devforge_api.core.outbox import emit
from devforge_api.files.models import File

KEYS_AT_ONCE = 500  # of one event


def remove(file: File) -> None:
    """Delete a file.

    :param file: locked, with its variants.
    """
    keys = [file.storage_key, *(variant.storage_key for variant in file.variants)]
    audit.record("file.deleted", target_type="file", target_id=file.id)
    statement = delete(File).where(File.id == file.id)  # its variants go by themselves
    db.session.execute(statement.execution_options(synchronize_session=False))
    discard(keys)


def discard(keys: Iterable[str]) -> None:
    """Have contents removed that nothing names any more, once that is committed."""
    waiting = iter(keys)
    while batch := list(islice(waiting, KEYS_AT_ONCE)):
        emit("file.content_unneeded", keys=batch)
