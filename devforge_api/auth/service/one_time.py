"""One-time tokens: issued, consumed by their first use, voided.

Only the hash is stored, what goes with a token is encrypted. Using one is a conditional update in
the transaction of the deed: of two at once one wins, and a deed that fails leaves the token good.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, literal, select, update

from devforge_api.auth.errors import OneTimeTokenInvalid
from devforge_api.auth.models import OneTimeToken, Purpose
from devforge_api.core.clock import utc_now
from devforge_api.core.db import UtcDateTime, affected, db
from devforge_api.core.encryption import decrypt, encrypt, fingerprint
from devforge_api.users import service as users
from devforge_api.users.service import User

KEPT = timedelta(days=1)  # after expiry
# What was begun under a password that counts no longer, perhaps by whoever knew it.
OUTDATED = (
    Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD, Purpose.CHANGE_EMAIL, Purpose.SECOND_FACTOR,
    Purpose.AUTHORIZATION_CODE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a token stood for. ``user`` is locked until commit; None where it named nobody."""

    user: User | None
    data: dict[str, Any]


def issue(
    purpose: Purpose, *, lifetime: timedelta, user_id: UUID | None = None, data: dict[str, Any] | None = None
) -> str:
    """A new token of 256 random bits, which only the caller ever sees.

    :param data: JSON values that its use will need; stored encrypted.
    """
    token = secrets.token_urlsafe(32)
    db.session.add(
        OneTimeToken(
            purpose=purpose,
            token_hash=fingerprint(token),
            user_id=user_id,
            data=None if data is None else encrypt(json.dumps(data)),
            expires_at=utc_now() + lifetime,
        )
    )
    db.session.flush()
    return token


def consume(purpose: Purpose, token: str) -> Consumed:
    """Use a token up, and lock its user.

    :raises OneTimeTokenInvalid: unknown, of another purpose, used, voided or expired; or its user
        is gone or may not act.
    """
    row = find(purpose, token)
    user = None
    if row.user_id is not None:
        # The user first, as everywhere: a deletion holds the user and waits for the token.
        user = users.find_user(row.user_id, for_update=True)
        if user is None or not user.is_active:
            raise OneTimeTokenInvalid
    use(row)
    return Consumed(user, data_of(row))


def use(row: OneTimeToken) -> None:
    """Use a found token up, its user being locked.

    :raises OneTimeTokenInvalid: used, voided or expired meanwhile.
    """
    _change_good(row, consumed_at=utc_now())


def fail(row: OneTimeToken, *, at_most: int) -> None:
    """Count a wrong answer to what a found token asks; the last one that is allowed voids it.

    :raises OneTimeTokenInvalid: used, voided or expired meanwhile; nothing was counted.
    """
    failures = OneTimeToken.failures + 1
    last = case((failures >= at_most, literal(utc_now(), UtcDateTime())), else_=None)
    _change_good(row, failures=failures, consumed_at=last)


def _change_good(row: OneTimeToken, **values: Any) -> None:
    now = utc_now()
    change = (
        update(OneTimeToken)
        .where(OneTimeToken.id == row.id, OneTimeToken.consumed_at.is_(None), OneTimeToken.expires_at > now)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    if affected(change) != 1:
        raise OneTimeTokenInvalid


def find(purpose: Purpose, token: str) -> OneTimeToken:
    """A token that is still good, without using it.

    :raises OneTimeTokenInvalid: as `consume`.
    """
    row = db.session.scalar(select(OneTimeToken).where(OneTimeToken.token_hash == fingerprint(token)))
    if row is None or row.purpose is not purpose or row.consumed_at or row.expires_at <= utc_now():
        raise OneTimeTokenInvalid
    return row


def count_since(since: datetime, purpose: Purpose, user_id: UUID) -> int:
    """How many tokens of a purpose were issued to a user since a moment."""
    statement = select(func.count()).where(
        OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose, OneTimeToken.created_at > since
    )
    return db.session.scalar(statement) or 0


def data_of(row: OneTimeToken) -> dict[str, Any]:
    """What was given when the token was issued."""
    data: dict[str, Any] = json.loads(decrypt(row.data)) if row.data is not None else {}
    return data


def void(user_id: UUID, *purposes: Purpose) -> None:
    """Make a user's unused tokens of these purposes worthless."""
    void_them = (
        update(OneTimeToken)
        .where(
            OneTimeToken.user_id == user_id,
            OneTimeToken.purpose.in_(purposes),
            OneTimeToken.consumed_at.is_(None),
        )
        .values(consumed_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    db.session.execute(void_them)


def purge_expired(now: datetime) -> int:
    """Delete tokens that expired longer ago than they are kept. Returns how many."""
    return affected(delete(OneTimeToken).where(OneTimeToken.expires_at < now - KEPT))
