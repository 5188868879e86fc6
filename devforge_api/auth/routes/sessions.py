"""Staying signed in, signing out, and what one can see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from flask import request
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.auth import queries
from devforge_api.auth.errors import SessionNotFound
from devforge_api.auth.models import RevokeReason, Session
from devforge_api.auth.routes import blp
from devforge_api.auth.schemas.signing_in import (
    ActivitySchema,
    LogoutSchema,
    RefreshSchema,
    SessionSchema,
    TokensSchema,
    UserSchema,
)
from devforge_api.auth.service import sessions, verification
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.tokens import read_access_token, read_refresh_token
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import (
    PreconditionFailed,
    TokenExpired,
    TokenInvalid,
    TokenRefused,
    TokenRevoked,
)
from devforge_api.core.gateway import bearer_token
from devforge_api.core.hot import hot
from devforge_api.core.limits import Limit, charge
from devforge_api.core.responses import carries_secret, check_precondition
from devforge_api.core.security import public, requires
from devforge_api.users.service import Account, User

if TYPE_CHECKING:
    from devforge_api.audit.models import AuditEvent


@blp.route("/refresh")
class Refresh(MethodView):
    """Rotation."""

    @public()
    @blp.arguments(RefreshSchema)
    @blp.response(200, TokensSchema)
    @blp.raises(TokenExpired, TokenInvalid, TokenRevoked)
    def post(self, data: dict[str, str]) -> Tokens:
        """Exchange a refresh token for new tokens"""
        claims = read_refresh_token(data["refresh_token"])
        charge(Limit.SESSION_REFRESH, str(claims.session_id))
        carries_secret()
        with unit_of_work():
            tokens = sessions.refresh(claims)
        if tokens is None:
            raise TokenRevoked
        return tokens


@blp.route("/logout")
class Logout(MethodView):
    """The end of one session."""

    @public()
    @blp.arguments(LogoutSchema)
    @blp.response(204)
    def post(self, data: dict[str, str | None]) -> None:
        """Sign out, by access token or by refresh token"""
        for session_id in _named_sessions(data):
            with unit_of_work():
                sessions.logout(session_id)


def _named_sessions(data: dict[str, str | None]) -> set[UUID]:
    """The sessions that the request can prove to hold; a token that proves nothing is ignored."""
    found: set[UUID | None] = set()
    try:
        found.add(read_access_token(bearer_token(request.environ)).session_id)
    except TokenRefused:
        pass
    try:
        found.add(read_refresh_token(data.get("refresh_token") or "").session_id)
    except TokenRefused:
        pass
    return {session_id for session_id in found if session_id is not None}


@blp.route("/logout-all")
class LogoutAll(MethodView):
    """The end of every session."""

    @requires("sessions:write")
    @blp.response(204)
    @unit_of_work()
    def post(self) -> None:
        """Sign out everywhere"""
        sessions.revoke_all(principal().user_id, RevokeReason.LOGOUT_ALL)


@blp.route("/me")
class Me(MethodView):
    """The caller."""

    @requires("profile:read")
    @blp.response(200, UserSchema)
    @hot
    def get(self) -> User | Account:
        """Show who is signed in"""
        return verification.signed_in_account()


@blp.route("/sessions")
class Sessions(MethodView):
    """The caller's devices."""

    @requires("sessions:read")
    @blp.listing(queries.SESSIONS, SessionSchema)
    def get(self) -> Select[Session]:
        """List one's own sessions"""
        return queries.live_sessions(principal().user_id)


@blp.route("/sessions/<uuid:session_id>")
class OneSession(MethodView):
    """One of the caller's devices."""

    @requires("sessions:read")
    @blp.response(200, SessionSchema)
    @blp.raises(SessionNotFound)
    def get(self, session_id: UUID) -> Session:
        """Show one of one's own sessions"""
        return queries.get_session(session_id, user_id=principal().user_id, for_update=False)

    @requires("sessions:write")
    @blp.response(204)
    @blp.raises(SessionNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, session_id: UUID) -> None:
        """End one of one's own sessions"""
        session = queries.get_session(session_id, user_id=principal().user_id)
        check_precondition(session, SessionSchema())
        sessions.revoke_session(session, RevokeReason.REVOKED)


@blp.route("/activity")
class Activity(MethodView):
    """The caller's sign-ins."""

    @requires("sessions:read")
    @blp.listing(queries.ACTIVITY, ActivitySchema)
    def get(self) -> Select[AuditEvent]:
        """List what happened to one's own account"""
        return queries.activity(principal().user_id)
