"""Sessions: opening, rotating and ending them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, literal, or_, select, update

from devforge_api.audit import service as audit
from devforge_api.auth.models import RevokeReason, Session
from devforge_api.auth.service import devices
from devforge_api.auth.service.devices import UNKNOWN, Device
from devforge_api.auth.tokens import RefreshClaims, make_access_token, make_refresh_token
from devforge_api.core import revocation
from devforge_api.core.clock import utc_now
from devforge_api.core.context import occasion
from devforge_api.core.db import UtcDateTime, affected, db, uuid7
from devforge_api.core.errors import TokenInvalid, TokenRevoked
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.users.service import User

ACCESS_LIFETIME = timedelta(minutes=15)
IDLE_LIFETIME, ABSOLUTE_LIFETIME = timedelta(days=7), timedelta(days=90)
GRACE = timedelta(seconds=10)  # in which a lost answer to a refresh is given again
ENDED_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client keeps after signing in. ``expires_in`` in seconds, of the access token."""

    access_token: str
    refresh_token: str
    user: User
    session_id: UUID
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTokens(Tokens):
    """What a client keeps after signing in; the device token even after signing out."""

    device_token: str


def open_session(
    user: User,
    *,
    device_name: str | None,
    method: str | None = None,
    device: Device = UNKNOWN,
    client_id: str | None = None,
    session_id: UUID | None = None,
) -> FirstTokens:
    """Sign a user in on one more device, and tell the owner if it is new.

    :param user: whose credentials were verified, locked in this transaction.
    :param method: what proved them, such as ``password`` or the provider's name.
    :param device: as far as it is known already.
    :param client_id: of the OAuth client that it is for; its refresh token is then good for no other.
    :param session_id: decided beforehand, where something must find the session again.
    """
    now = utc_now()
    is_new = devices.is_new(user, device, device_name=device_name)
    users.touch_login(user, now)
    issued_at = now.replace(microsecond=0)
    session = Session(
        id=session_id or uuid7(),
        client_id=client_id,
        user_id=user.id,
        counter=0,
        issued_at=issued_at,
        expires_at=issued_at + IDLE_LIFETIME,
        absolute_expires_at=issued_at + ABSOLUTE_LIFETIME,
        device_name=device_name or _device(occasion().user_agent),
        address=occasion().address,
        network=devices.network(),
        user_agent=occasion().user_agent,
    )
    db.session.add(session)
    changes = {"method": (None, method)} if method else None
    audit.record("auth.signed_in", target_type="user", target_id=user.id, actor_id=user.id, changes=changes)
    emit("auth.signed_in", user_id=str(user.id), session_id=str(session.id))
    if is_new:
        emit("auth.new_device", user_id=str(user.id), session_id=str(session.id))
    return FirstTokens(**_signed(session, user), device_token=devices.make_token(user.id, device.id))


def refresh(claims: RefreshClaims, *, client_id: str | None = None) -> Tokens | None:
    """Rotate a session's refresh token.

    The immediate parent is answered again with the same successor, for ten seconds and while the
    successor is unused: a lost answer, or two windows refreshing at once. Any older token has
    been stolen from someone: the session ends.

    :param client_id: of the OAuth client that asks; None for one that is none.
    :returns: None when reuse was detected; the caller commits, then refuses.
    :raises TokenInvalid: the session was opened for another client, or for none.
    :raises TokenRevoked: the session is over, or its user cannot act.
    """
    now = utc_now()
    issued_at = now.replace(microsecond=0)
    # One update and no second one: PostgreSQL would check the second's foreign key by locking the
    # user's row, against a deletion that holds it and waits for this session.
    rotate = (
        update(Session)
        .where(
            Session.id == claims.session_id,
            Session.user_id == claims.user_id,
            Session.counter == claims.counter,
            Session.client_id.is_not_distinct_from(client_id),
            Session.revoked_at.is_(None),
            Session.expires_at > now,
        )
        .values(
            counter=Session.counter + 1,
            issued_at=issued_at,
            expires_at=idle_end(issued_at),
            last_seen_at=now,
            address=occasion().address,
        )
        .execution_options(synchronize_session=False)
    )
    rotated = affected(rotate) == 1
    # Locked, so that a logout under way decides before a successor is given out.
    session = db.session.scalar(select(Session).where(Session.id == claims.session_id).with_for_update())
    if session is None or session.user_id != claims.user_id or not session.is_live(now):
        raise TokenRevoked
    if session.client_id != client_id:
        raise TokenInvalid
    user = users.find_user(session.user_id)
    if user is None or not user.is_active:
        raise TokenRevoked
    if not rotated and (claims.counter != session.counter - 1 or now - session.last_seen_at > GRACE):
        end_for_reuse(session)
        return None
    return Tokens(**_signed(session, user))


def idle_end(use: datetime) -> ColumnElement[datetime]:
    """For an update: when a session that is used at this moment ends without another use."""
    end = literal(use + IDLE_LIFETIME, UtcDateTime())
    return case((Session.absolute_expires_at < end, Session.absolute_expires_at), else_=end)


def revoke_session(session: Session, reason: RevokeReason) -> None:
    """End one session; its access tokens are refused from the next request on."""
    if session.revoked_at is None:
        _end(session, reason)
        action = "auth.signed_out" if reason is RevokeReason.LOGOUT else "auth.session_revoked"
        audit.record(action, target_type="user", target_id=session.user_id, actor_id=session.user_id)
        db.session.flush()


def logout(session_id: UUID) -> None:
    """End a session by its id, if it is there and not over."""
    session = db.session.scalar(select(Session).where(Session.id == session_id).with_for_update())
    if session is not None:
        revoke_session(session, RevokeReason.LOGOUT)


def revoke_all(user_id: UUID, reason: RevokeReason, *, but: UUID | None = None) -> int:
    """End every session of a user, except perhaps the present one. Returns how many."""
    # The user first: what is being opened in their name ends as well, or comes afterwards.
    if users.find_user(user_id, for_update=True) is None:
        return 0
    live = select(Session).where(Session.user_id == user_id, Session.revoked_at.is_(None))
    sessions = [
        one for one in db.session.scalars(live.order_by(Session.id).with_for_update()) if one.id != but
    ]
    for session in sessions:
        _end(session, reason)
    if reason is not RevokeReason.PASSWORD_CHANGED:
        audit.record("auth.all_sessions_revoked", target_type="user", target_id=user_id)
    db.session.flush()
    return len(sessions)


def purge_ended(now: datetime) -> int:
    """Delete sessions that ended longer ago than they are kept. Returns how many."""
    before = now - ENDED_KEPT
    return affected(delete(Session).where(or_(Session.expires_at < before, Session.revoked_at < before)))


def end_for_reuse(session: Session) -> None:
    """End a locked session because something that works once was used twice: somebody has a copy."""
    _end(session, RevokeReason.REUSE_DETECTED)
    audit.record("auth.reuse_detected", target_type="user", target_id=session.user_id)
    emit("auth.reuse_detected", user_id=str(session.user_id), session_id=str(session.id))
    db.session.flush()


def _end(session: Session, reason: RevokeReason) -> None:
    session.revoked_at, session.revoke_reason = utc_now(), reason
    revocation.deny_session(session.id)


def _signed(session: Session, user: User) -> dict[str, Any]:
    """The tokens of a session's present state, by the names of `Tokens`."""
    # Where Redis answers, nobody looks at the session's own end: the access token ends with it.
    lifetime = min(ACCESS_LIFETIME, session.expires_at - utc_now())
    access = make_access_token(
        user_id=user.id,
        session_id=session.id,
        token_version=user.token_version,
        role=user.role,
        lifetime=lifetime,
    )
    renewal = make_refresh_token(
        user_id=user.id,
        session_id=session.id,
        counter=session.counter,
        issued_at=session.issued_at,
        expires_at=session.expires_at,
    )
    return {
        "access_token": access,
        "refresh_token": renewal,
        "user": user,
        "session_id": session.id,
        "expires_in": int(lifetime.total_seconds()),
    }


def _device(user_agent: str | None) -> str:
    return (user_agent or "Unknown device").split("(")[0].strip()[:100] or "Unknown device"
