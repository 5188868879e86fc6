"""What is known of an account before anybody has proven anything, and of where it was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, bindparam, exists, literal_column, or_, select

from devforge_api.auth.models import RevokeReason, Session
from devforge_api.core.db import db
from devforge_api.core.statements import Prepared
from devforge_api.users.models import User

# Ended because they were not the owner's: that they were there proves nothing.
_NOT_DISOWNED = or_(
    Session.revoke_reason.is_(None),
    Session.revoke_reason.not_in(
        [
            literal_column(f"'{reason.value}'")
            for reason in (RevokeReason.REVOKED, RevokeReason.REUSE_DETECTED)
        ]
    ),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a guess at a password is checked against, and how it is counted.

    :param network_known: whether the account was signed in to from there lately.
    """

    user_id: UUID
    password_hash: str | None
    unlocked_at: datetime | None
    network_known: bool


_CREDENTIALS = Prepared(
    select(
        User.id,
        User.password_hash,
        User.unlocked_at,
        exists()
        .where(
            Session.user_id == User.id,
            Session.network == bindparam("network"),
            Session.created_at > bindparam("since"),
            _NOT_DISOWNED,
        )
        .correlate(User),
    ).where(User.email_key == bindparam("email_key")),
    Credentials,
)


def find_credentials(email_key: str, *, network: str | None, since: datetime) -> Credentials | None:
    """An account by its address, by one query; None where nobody has it."""
    return _CREDENTIALS.first(email_key=email_key, network=network, since=since)


def lately_admitted(user_id: UUID, *, since: datetime) -> Sequence[Row[str | None, str, str | None]]:
    """Where the user has signed in from, by the newest hundred sign-ins: network, name, user agent."""
    return db.session.execute(
        select(Session.network, Session.device_name, Session.user_agent)
        .where(Session.user_id == user_id, Session.created_at > since, _NOT_DISOWNED)
        .order_by(Session.created_at.desc(), Session.id.desc())
        .limit(100)
    ).all()
