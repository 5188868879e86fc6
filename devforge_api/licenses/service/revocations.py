"""The revocation list: which licences hold no longer, or hold again, for apps that cannot ask.

A licence has one entry at most, its latest; one that was never listed stands well. The numbers are
given in the order of the commits, so who has read up to a number has missed nothing before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import before_commit, db
from devforge_api.licenses import queries
from devforge_api.licenses.models import Revocation, Standing
from devforge_api.licenses.service.certificates import Certificate, Kind, certify
from devforge_api.licenses.service.leases import meta_of

PAGE = 1_000  # entries
LISTING_LOCK = 0x0DE7F065  # of PostgreSQL's advisory locks; any number, the same for all
# A list is the same for everybody for so long: it can be cached, and asked for by its tag.
ROUNDED_TO = 300  # seconds
HOLDS_FOR = timedelta(days=1)  # then a newer one should be asked for
_BATCH = 500  # licences in a statement


def note(license_id: UUID) -> None:
    """See at the end of this transaction whether the list must tell of a licence."""
    before_commit(_list, license_id)


def note_owner(user_id: UUID) -> None:
    """The same for all licences of a user who was banned, or is banned no longer."""
    before_commit(_list_of_owners, user_id)


def _list_of_owners(user_ids: list[UUID]) -> None:
    _one_at_a_time()  # before they are looked for: a licence that is given to the user now is seen
    _list(list(queries.owned_by(user_ids)))


def _list(license_ids: list[UUID]) -> None:
    """Write what the list does not say yet.

    How a licence stands is looked up under the lock: of two who change it, or it and its owner,
    the second one sees what both have done.
    """
    _one_at_a_time()
    license_ids = list(dict.fromkeys(license_ids))
    last = None
    for start in range(0, len(license_ids), _BATCH):
        batch = license_ids[start : start + _BATCH]
        listed = queries.listed(batch)
        changed = {
            license_id: standing
            for license_id, standing in queries.standings(batch).items()
            if standing is not listed.get(license_id, Standing.RESTORED)
        }
        if not changed:
            continue
        last = queries.last_sequence() if last is None else last
        db.session.execute(delete(Revocation).where(Revocation.license_id.in_(set(changed) & set(listed))))
        now = utc_now()
        rows = [
            {"sequence": number, "license_id": license_id, "standing": standing, "created_at": now}
            for number, (license_id, standing) in enumerate(changed.items(), start=last + 1)
        ]
        db.session.execute(insert(Revocation), rows)
        last += len(rows)


def _one_at_a_time() -> None:
    """Until commit; on SQLite nobody else can write as it is."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(select(func.pg_advisory_xact_lock(LISTING_LOCK)))


def published(since: int, *, now: datetime) -> tuple[Certificate, dict[str, Any]]:
    """The entries after a number, at most `PAGE` of them, signed; and what is signed of them.

    ``next`` is where to go on from, ``complete`` tells whether that must be done at once. A number
    that has not been given yet comes from before the database was restored: then ``since`` is 0,
    the entries are the first ones, and those which the reader has kept mean nothing any more.
    """
    entries = queries.entries_after(since, PAGE + 1)
    if not entries and since > queries.last_sequence():
        since, entries = 0, queries.entries_after(0, PAGE + 1)
    page = entries[:PAGE]
    issued = datetime.fromtimestamp(now.timestamp() // ROUNDED_TO * ROUNDED_TO, now.tzinfo)
    meta = meta_of(issued, issued + HOLDS_FOR) | {
        "since": since,
        "next": page[-1][0] if page else since,
        "complete": len(entries) <= PAGE,
    }
    data = [
        {"type": "revocation", "sequence": number, "license_id": license_id, "standing": standing,
         "at": rfc3339(at)}
        for number, license_id, standing, at in page
    ]  # fmt: skip
    return certify(Kind.REVOCATIONS, {"meta": meta, "data": data, "included": []}), meta
