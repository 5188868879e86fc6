"""Contents that no row names: of writers that were killed, or of databases that were restored."""

from __future__ import annotations

from datetime import datetime, timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.db import release_connection
from devforge_api.core.storage.base import Kept
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries

AGE = timedelta(days=1)  # younger ones may belong to rows that are being written
PAGE = 500
# A writer that is killed leaves one content behind; where most have no row, the rows are elsewhere.
MANY = 100


def page_of(after: str) -> tuple[list[Kept], str | None]:
    """The orphans among the next contents behind a key, and where to go on; None: that was the end.

    :raises StorageAway: try again.
    """
    release_connection()
    found = storage().kept(after, PAGE)
    old = [one for one in found if one.at < too_young_since()]
    named = queries.named_among([one.key for one in old]) if old else set()
    release_connection()
    return [one for one in old if one.key not in named], found[-1].key if len(found) == PAGE else None


def too_young_since() -> datetime:
    """What was made after this moment may belong to a row that is being written."""
    return utc_now() - AGE


class NotOurs(Exception):
    """Most contents are named by no row: the storage seems to be another installation's, or a newer one."""


def remove_page(after: str) -> str | None:
    """Remove those of one page. Returns where to go on.

    :raises StorageAway: try again. :raises NotOurs: nothing was removed.
    """
    found, further = page_of(after)
    if len(found) > MANY and 2 * len(found) > PAGE:
        raise NotOurs(
            f"{len(found)} of {PAGE} contents have no row: is this the right database for this storage? "
            "`flask files orphans --dry-run` lists them, and without --dry-run removes them"
        )
    storage().delete([one.key for one in found])
    if not after:
        storage().tidy(too_young_since())
    return further
