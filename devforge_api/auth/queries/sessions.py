"""What can be read about sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, bindparam, case, func, select

from devforge_api.auth.errors import (
    SessionNotFound,
)
from devforge_api.auth.models import (
    Session,
)
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.users.models import User, UserStatus

SESSIONS = Listing(
    "SessionQuery",
    key=Session.id,
    filters={"created_at": Session.created_at},
    sorts={"created_at": Session.created_at},
)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session that a browser holds, and whose it is."""

    id: UUID
    user_id: UUID
    email: str
    created_at: datetime


def live_sessions(user_id: UUID) -> Select[Session]:
    """The user's sessions that still admit."""
    return select(Session).where(
        Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > utc_now()
    )


def get_session(session_id: UUID, *, user_id: UUID, for_update: bool = True) -> Session:
    """One of the user's sessions.

    :param for_update: lock it until commit, as whatever rests on it must.
    :raises SessionNotFound: unknown, another's, or over.
    """
    statement = select(Session).where(Session.id == session_id, Session.user_id == user_id)
    session = db.session.scalar(statement.with_for_update() if for_update else statement)
    if session is None or not session.is_live(utc_now()):
        raise SessionNotFound
    return session


def find_session(session_id: UUID) -> Session | None:
    """Any session, if it is still there."""
    return db.session.get(Session, session_id)


def find_browser_session(cookie_hash: str) -> BrowserSession | None:
    """The session that a browser holds by its cookie, while session and user admit, by one query."""
    statement = (
        select(Session.id, User.id, User.email, Session.created_at)
        .join(User, User.id == Session.user_id)
        .where(
            Session.cookie_hash == cookie_hash,
            Session.revoked_at.is_(None),
            Session.expires_at > utc_now(),
            User.status == UserStatus.ACTIVE,
        )
    )
    row = db.session.execute(statement).first()
    return BrowserSession(*row) if row else None


# Runs on every request without Redis: built once.
_ADMITTING = (
    select(User)
    .join(Session, Session.user_id == User.id)
    .where(
        Session.id == bindparam("session_id"),
        User.id == bindparam("user_id"),
        Session.revoked_at.is_(None),
        Session.expires_at > bindparam("now"),
    )
)


def find_admitting(session_id: UUID, user_id: UUID) -> User | None:
    """The user of a session that still admits, by one query."""
    values = {"session_id": session_id, "user_id": user_id, "now": utc_now()}
    return db.session.scalar(_ADMITTING, values)


def proven_at(session_id: UUID, *, signing_in_counts: bool) -> datetime | None:
    """When the session's user last proved who they are.

    :param signing_in_counts: not only what was proven again since; so it is in any case where
        there is no password to ask for.
    """
    at_all = func.coalesce(Session.reauthenticated_at, Session.created_at)
    again = case((User.password_hash.is_(None), at_all), else_=Session.reauthenticated_at)
    statement = (
        select(at_all if signing_in_counts else again)
        .join(User, User.id == Session.user_id)
        .where(Session.id == session_id)
    )
    return db.session.scalar(statement)
