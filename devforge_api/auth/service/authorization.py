"""Authorization codes: issued to a browser that is signed in, exchanged once by the client that asked.

RFC 6749 section 4.1, RFC 7636, OAuth 2.1. Using a code twice means that somebody has a copy: the
session that it was exchanged for ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import OneTimeTokenInvalid, SessionNotFound
from devforge_api.auth.models import Purpose, RevokeReason
from devforge_api.auth.queries import BrowserSession
from devforge_api.auth.service import browser_sessions, one_time, sessions
from devforge_api.auth.service.client_admission import admit_client
from devforge_api.auth.service.clients import Client
from devforge_api.auth.service.sessions import Tokens
from devforge_api.core.db import uuid7
from devforge_api.core.encryption import fingerprint
from devforge_api.users import service as users
from devforge_api.users.errors import UserNotFound

CODE_LIFETIME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A code that is still good, with the names by which Authlib asks for its parts."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        """Where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What was asked for."""
        return self.scope


def approve(browser: BrowserSession, *, client_id: str, redirect_uri: str, challenge: str, scope: str) -> str:
    """Issue a code for the signed-in user's session with a client.

    :param challenge: the PKCE challenge, S256.
    :raises SessionNotFound: the browser's session has ended in this moment.
    """
    browser_sessions.lock_to_decide(browser)
    data = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "challenge": challenge,
        "scope": scope,
        "approved_in": str(browser.id),
        "session_id": str(uuid7()),  # of the session that it will be exchanged for
    }
    return one_time.issue(
        Purpose.AUTHORIZATION_CODE, lifetime=CODE_LIFETIME, user_id=browser.user_id, data=data
    )


def find_code(code: str) -> PendingCode | None:
    """A code that is still good, without using it."""
    try:
        data = one_time.data_of(one_time.find(Purpose.AUTHORIZATION_CODE, code))
    except OneTimeTokenInvalid:
        return None
    return PendingCode(code, data["client_id"], data["redirect_uri"], data["scope"], data["challenge"])


def exchange(code: str, client: Client) -> Tokens:
    """Use a code up for a session; PKCE, client and redirect address were checked.

    :raises OneTimeTokenInvalid: it was used meanwhile. :raises AccountDisabled: banned meanwhile.
    :raises SessionNotFound: the browser that approved it has been signed out meanwhile.
    """
    used = one_time.consume(Purpose.AUTHORIZATION_CODE, code)
    if used.user is None:
        raise OneTimeTokenInvalid
    return admit_client(
        used.user,
        client_id=client.client_id,
        name=client.name,
        approved_in=UUID(used.data["approved_in"]),
        session_id=UUID(used.data["session_id"]),
    )


def was_used(code: str) -> bool:
    """Whether this is a code that was exchanged before."""
    row = queries.find_authorization_code(fingerprint(code))
    return row is not None and row.consumed_at is not None


def end_replayed(code: str) -> None:
    """End the session that a code was exchanged for, since the code came again (RFC 6749 4.1.2)."""
    row = queries.find_authorization_code(fingerprint(code))
    if row is None or row.consumed_at is None or row.user_id is None:
        return
    try:
        users.get_user(row.user_id, for_update=True)
        session_id = UUID(one_time.data_of(row)["session_id"])
        sessions.end_for_reuse(queries.get_session(session_id, user_id=row.user_id))
    except (UserNotFound, SessionNotFound):
        audit.record("auth.code_replayed", target_type="user", target_id=row.user_id)


def revoke(session_id: UUID, *, user_id: UUID, client_id: str) -> None:
    """End a client's session by one of its tokens; another client's stays (RFC 7009 section 2.1)."""
    try:
        session = queries.get_session(session_id, user_id=user_id)
    except SessionNotFound:
        return
    if session.client_id == client_id:
        sessions.revoke_session(session, RevokeReason.LOGOUT)
