"""The session that a browser holds on the server's own pages, by a cookie instead of tokens.

An ordinary session row: it is listed among the devices and ends like any other one. Only the
cookie's hash is stored, and each use asks the database.
"""

from __future__ import annotations

import re
import secrets
from uuid import UUID

from sqlalchemy import update

from devforge_api.auth import queries
from devforge_api.auth.errors import SessionNotFound
from devforge_api.auth.models import Session
from devforge_api.auth.queries import BrowserSession
from devforge_api.auth.service import sessions
from devforge_api.core.clock import utc_now
from devforge_api.core.context import occasion
from devforge_api.core.db import affected, db
from devforge_api.core.encryption import fingerprint
from devforge_api.core.errors import TokenRevoked
from devforge_api.users import service as users

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_cookie() -> str:
    """A value of 256 random bits that stands for nothing yet."""
    return secrets.token_urlsafe(32)


def is_cookie(value: str) -> bool:
    """Whether it can be one of ours."""
    return _COOKIE.fullmatch(value) is not None


def find(cookie: str) -> BrowserSession | None:
    """Whom a browser is signed in as at this moment, by one query."""
    return queries.find_browser_session(fingerprint(cookie)) if is_cookie(cookie) else None


def hold(session_id: UUID, *, instead_of: str | None) -> str:
    """Give a session that was just opened to a browser; always by a new value (no fixation).

    :param instead_of: the browser's cookie of before; the session that it held ends.
    :returns: the cookie's value, which only the browser keeps.
    :raises TokenRevoked: the session is over already.
    """
    before = find(instead_of) if instead_of else None
    if before is not None and before.id != session_id:
        sessions.logout(before.id)
    cookie = new_cookie()
    give = (
        update(Session)
        .where(Session.id == session_id, Session.cookie_hash.is_(None), Session.revoked_at.is_(None))
        .values(cookie_hash=fingerprint(cookie))
        .execution_options(synchronize_session=False)
    )
    if affected(give) != 1:
        raise TokenRevoked
    return cookie


def lock_to_decide(browser: BrowserSession) -> None:
    """Lock user and session of a browser in which somebody decides something, and note the use.

    :raises SessionNotFound: it has been signed out in this moment.
    """
    if users.find_user(browser.user_id, for_update=True) is None:
        raise SessionNotFound
    queries.get_session(browser.id, user_id=browser.user_id)
    now = utc_now()
    values = {"last_seen_at": now, "address": occasion().address, "expires_at": sessions.idle_end(now)}
    use = update(Session).where(Session.id == browser.id, Session.revoked_at.is_(None)).values(values)
    db.session.execute(use.execution_options(synchronize_session=False))
