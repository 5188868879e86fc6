"""Personal access tokens: what a user gives to a tool, or to a service account.

``dfp_``, 32 random letters and digits, and six that spell the CRC32 of what precedes them: a
scanner knows one when it sees it, and a mistyped one is refused without a query. Only its hash is
stored. What one may do is found anew at each use: its own scopes, as far as its user's role still
has them, and its service account.
"""

from __future__ import annotations

import re
import secrets
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import SQLAlchemyError

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import ServiceAccountDisabled, TooManyAccessTokens
from devforge_api.auth.models import PersonalAccessToken, ServiceAccount
from devforge_api.auth.queries.tokens import TokenInUse
from devforge_api.auth.scopes import PERSONAL, ROLE_SCOPES
from devforge_api.auth.service.latecomers import refuse_latecomer
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Principal
from devforge_api.core.db import affected, db, unit_of_work
from devforge_api.core.encryption import fingerprint
from devforge_api.core.errors import TokenExpired, TokenInvalid, TokenRevoked, ValidationFailed
from devforge_api.core.maintenance import Maintenance
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.users.service import Role

PREFIX = "dfp_"
PATTERN = re.compile(r"dfp_[0-9A-Za-z]{38}")
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECKSUM, _HINT = 32, 6, 4  # characters; 32 of them are 190 random bits
MOST_TOKENS = 100  # live ones of one user, those of service accounts among them
USE_NOTED_EVERY = timedelta(minutes=1)
ENDED_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, and the row that is kept of it."""

    token: str
    row: PersonalAccessToken

    def __getattr__(self, name: str) -> Any:
        """What the row shows."""
        return getattr(self.row, name)


def create(
    user_id: UUID,
    *,
    name: str,
    scopes: Iterable[str] | None,
    expires_in_days: int,
    account: ServiceAccount | None = None,
) -> Made:
    """Make a token, which only the caller ever sees.

    :param scopes: None: all that the service account has.
    :param account: the user's own; locked after the user.
    :raises ValidationFailed: a scope that cannot be granted.
    :raises TooManyAccessTokens: the user has as many as may be.
    :raises ServiceAccountDisabled: its tokens would not work.
    :raises TokenRevoked: the user was banned, or all their tokens were ended, in this moment.
    """
    user = users.get_user(user_id, for_update=True)
    if not user.is_active:  # banned in this moment: what is made now would outlast the ban
        raise TokenRevoked
    refuse_latecomer(user)
    grantable = grantable_scopes(user.role)
    if account is not None:
        if not account.enabled:
            raise ServiceAccountDisabled
        grantable &= frozenset(account.scopes)
    granted = checked_scopes(grantable if scopes is None else scopes, grantable)
    now = utc_now()
    if queries.count_live_tokens(user_id, now) >= MOST_TOKENS:
        raise TooManyAccessTokens(limit=MOST_TOKENS)
    token = new_token()
    row = PersonalAccessToken(
        user_id=user_id,
        service_account_id=account.id if account else None,
        name=name,
        scopes=granted,
        token_hash=fingerprint(token),
        hint=token[-_HINT:],
        expires_at=now + timedelta(days=expires_in_days),
    )
    db.session.add(row)
    db.session.flush()
    changes = {"token_id": (None, row.id), "name": (None, name), "scopes": (None, granted)}
    audit.record("auth.token_created", target_type="user", target_id=user_id, changes=changes)
    emit("auth.token_created", user_id=str(user_id), token_id=str(row.id))
    return Made(token, row)


def revoke(token: PersonalAccessToken) -> None:
    """End a token that this transaction has locked; it is refused from the next request on."""
    token.revoked_at = utc_now()
    changes = {"token_id": (token.id, None), "name": (token.name, None)}
    audit.record("auth.token_revoked", target_type="user", target_id=token.user_id, changes=changes)
    db.session.flush()


def revoke_all(user_id: UUID, *, account_id: UUID | None = None) -> None:
    """End all of a user's tokens, or those of one service account."""
    token = PersonalAccessToken
    end = update(token).where(token.user_id == user_id, token.revoked_at.is_(None))
    if account_id is not None:
        end = end.where(token.service_account_id == account_id)
    db.session.execute(end.values(revoked_at=utc_now()).execution_options(synchronize_session=False))


def read(token: str) -> Principal:
    """Whom a token stands for at present, by one query.

    :raises TokenInvalid: not one of ours. :raises TokenExpired: its time is over.
    :raises TokenRevoked: it, its service account or its user was ended.
    """
    if not is_well_formed(token):
        raise TokenInvalid
    found = queries.find_token(fingerprint(token))
    if found is None:
        raise TokenInvalid
    if found.revoked_at or found.status is not users.UserStatus.ACTIVE or found.account_enabled is False:
        raise TokenRevoked("The token has been revoked; make a new one.")
    now = utc_now()
    if found.expires_at <= now:
        raise TokenExpired("The token has expired; make a new one.")
    if found.last_used_at is None or now - found.last_used_at >= USE_NOTED_EVERY:
        _note_use(found.id, now)
    return Principal(found.user_id, found.role, scopes_of(found), None, found.token_version, found.id)


def scopes_of(found: TokenInUse) -> frozenset[str]:
    """What a token may do at present: its own scopes, as far as its role and its account have them."""
    scopes = grantable_scopes(found.role) & frozenset(found.scopes)
    return scopes if found.account_scopes is None else scopes & frozenset(found.account_scopes)


def grantable_scopes(role: Role) -> frozenset[str]:
    """What a user of this role can let a tool do."""
    return ROLE_SCOPES[role] - PERSONAL


def checked_scopes(wanted: Iterable[str], grantable: frozenset[str]) -> list[str]:
    """The scopes, each once and in order.

    :raises ValidationFailed: none, or one that cannot be granted; tells which can.
    """
    chosen = set(wanted)
    if not chosen or chosen - grantable:
        possible = ", ".join(sorted(grantable)) or "(none)"
        raise ValidationFailed.of("scopes", f"Choose from: {possible}.", "SCOPE_NOT_GRANTABLE")
    return sorted(chosen)


def purge_ended(now: datetime) -> int:
    """Delete tokens that expired or were revoked longer ago than they are kept. Returns how many."""
    token, before = PersonalAccessToken, now - ENDED_KEPT
    return affected(delete(token).where(or_(token.expires_at < before, token.revoked_at < before)))


def new_token() -> str:
    """A token of 190 random bits."""
    body = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Whether it can be a token at all: its form, and its checksum."""
    return bool(PATTERN.fullmatch(token)) and _checksum(token[:-_CHECKSUM]) == token[-_CHECKSUM:]


def _checksum(body: str) -> str:
    """CRC32 in base 62, six digits with leading zeros."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return digits


class _Notes:
    """Until when (monotonic seconds) this process notes no use, since the last one could not be written."""

    paused_until = 0.0


def _note_use(token_id: UUID, now: datetime) -> None:
    """Write when a token was used; nobody's request fails, or waits again and again, for that."""
    if time.monotonic() < _Notes.paused_until:
        return
    token = PersonalAccessToken
    unnoted = or_(token.last_used_at.is_(None), token.last_used_at <= now - USE_NOTED_EVERY)
    note = update(token).where(token.id == token_id, unnoted).values(last_used_at=now)
    try:
        with unit_of_work():
            db.session.execute(note.execution_options(synchronize_session=False))
    except (Maintenance, SQLAlchemyError):  # read-only, full, locked
        _Notes.paused_until = time.monotonic() + USE_NOTED_EVERY.total_seconds()
