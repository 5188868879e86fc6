"""What the revocation list says, and what it would have to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import License, LicenseStatus, Revocation, Standing
from devforge_api.users.models import User, UserStatus

Entry = tuple[int, UUID, Standing, datetime]


def entries_after(sequence: int, limit: int) -> list[Entry]:
    """The next entries of the list, oldest first."""
    statement = (
        select(Revocation.sequence, Revocation.license_id, Revocation.standing, Revocation.created_at)
        .where(Revocation.sequence > sequence)
        .order_by(Revocation.sequence)
        .limit(limit)
    )
    return [(*row,) for row in db.session.execute(statement)]


def last_sequence() -> int:
    """The number of the newest entry; 0: there is none."""
    return db.session.scalar(select(func.max(Revocation.sequence))) or 0


def listed(license_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """What the list says of these licences; of others it says nothing."""
    statement = select(Revocation.license_id, Revocation.standing)
    rows = db.session.execute(statement.where(Revocation.license_id.in_(license_ids)))
    return {row.license_id: row.standing for row in rows}


def standings(license_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """How these licences stand at present."""
    statement = (
        select(License.id, License.status, User.status)
        .outerjoin(User, User.id == License.user_id)
        .where(License.id.in_(license_ids))
    )
    found = {
        license_id: _standing(status, owner_status)
        for license_id, status, owner_status in db.session.execute(statement)
    }
    return {license_id: found.get(license_id, Standing.DELETED) for license_id in license_ids}


def _standing(status: LicenseStatus, owner_status: UserStatus | None) -> Standing:
    if status is LicenseStatus.REVOKED:
        return Standing.REVOKED
    if status is LicenseStatus.SUSPENDED or owner_status is UserStatus.DISABLED:
        return Standing.SUSPENDED
    return Standing.RESTORED


def owned_by(user_ids: Sequence[UUID]) -> Sequence[UUID]:
    """The licences of these users."""
    return db.session.scalars(select(License.id).where(License.user_id.in_(user_ids))).all()
