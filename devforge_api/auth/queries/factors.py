"""What can be read about second factors."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import (
    RecoveryCode,
    TotpFactor,
)
from devforge_api.core.db import db

# After these, codes that were guessed before are of no use to anybody, or an operator forgives them.
NEW_SECRETS = (
    "user.unlocked", "auth.account_claimed", "auth.mfa_enabled", "auth.password_changed",
    "auth.password_reset",
)  # fmt: skip

# Runs with every sign-in: built once, and before a foreign key knows its column's type.
_CONFIRMED = select(TotpFactor.id).where(
    TotpFactor.user_id == bindparam("user_id", type_=Uuid()), TotpFactor.confirmed_at.is_not(None)
)


def has_second_factor(user_id: UUID) -> bool:
    """Whether a sign-in of the user waits for a code."""
    return db.session.scalar(_CONFIRMED, {"user_id": user_id}) is not None


def find_factor(user_id: UUID) -> TotpFactor | None:
    """The user's authenticator app, confirmed or not."""
    return db.session.scalar(select(TotpFactor).where(TotpFactor.user_id == user_id))


def second_factor(user_id: UUID) -> tuple[datetime | None, int]:
    """When the second factor was confirmed, and how many recovery codes are left."""
    left = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    confirmed_at = select(TotpFactor.confirmed_at).where(TotpFactor.user_id == user_id).scalar_subquery()
    return db.session.execute(select(confirmed_at, left.scalar_subquery())).one()


def failed_codes(user_id: UUID, *, since: datetime, limit: int) -> list[datetime]:
    """When the user's second factor was failed last, newest first.

    Up to the moment at which whoever failed had to begin anew: another factor, another password, or an
    account that was unlocked.
    """
    statement = (
        select(AuditEvent.action, AuditEvent.created_at)
        .where(
            AuditEvent.target_id == user_id,
            AuditEvent.created_at > since,
            AuditEvent.action.in_(("auth.mfa_failed", *NEW_SECRETS)),
        )
        .order_by(AuditEvent.created_at.desc(), AuditEvent.id.desc())
        .limit(limit)
    )
    rows = db.session.execute(statement)
    return [at for action, at in takewhile(lambda row: row.action not in NEW_SECRETS, rows)]
