"""Expiries are told once each: nothing else happens at that moment, verdicts read the clock."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select

from devforge_api.core.db import db, unedited
from devforge_api.licenses.models import CauseKind, License, LicenseStatus
from devforge_api.licenses.service.record import Cause, tell

BATCH = 1_000


def tell_expired(now: datetime, *, batch: int = BATCH) -> int:
    """Tell of licences whose expiry has passed, of the earliest first. Returns how many were seen.

    Rows that somebody holds, who may be renewing them, are left for the next time.
    """
    untold = or_(License.expiry_told_at.is_(None), License.expiry_told_at != License.expires_at)
    due = (
        select(License.id, License.status, License.expires_at)
        .where(License.expires_at.is_not(None), untold, License.expires_at <= now)
        .order_by(License.expires_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    rows = db.session.execute(due).all()
    told = License.id.in_([row.id for row in rows])
    db.session.execute(unedited(License, told, expiry_told_at=License.expires_at))
    for row in rows:
        if row.status is not LicenseStatus.REVOKED:  # which ended before
            tell(
                "expired",
                row.id,
                {"expires_at": (row.expires_at, row.expires_at)},
                cause=Cause(CauseKind.TIME),
            )
    return len(rows)
