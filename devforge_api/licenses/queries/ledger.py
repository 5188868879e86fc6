"""What can be read of a licence's ledger."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, func, or_, select

from devforge_api.core.listing import Listing
from devforge_api.licenses.models import LedgerEntry, License

LEDGER = Listing(
    "LedgerQuery",
    key=LedgerEntry.id,
    filters={"created_at": LedgerEntry.created_at},
    sorts={"created_at": LedgerEntry.created_at},
)


def ledger(license_id: UUID, *, owner_id: UUID | None = None) -> Select[LedgerEntry]:
    """A licence's entries.

    :param owner_id: whose the licence must be, who reads from when it became theirs; what was said
        of a former owner is not for the next one. None: all of it.
    """
    statement = select(LedgerEntry).where(LedgerEntry.license_id == license_id)
    if owner_id is None:
        return statement
    became_theirs = (
        select(func.max(LedgerEntry.created_at))
        .where(
            LedgerEntry.license_id == license_id,
            LedgerEntry.changes[("user_id", 1)].as_string() == str(owner_id),
        )
        .scalar_subquery()
    )
    return statement.join(License, License.id == LedgerEntry.license_id).where(
        License.user_id == owner_id,
        or_(became_theirs.is_(None), LedgerEntry.created_at >= became_theirs),
    )
