"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Response, current_app
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.auth import queries
from devforge_api.auth.errors import AccountDisabled, EmailNotVerified, InvalidCredentials, SessionNotFound
from devforge_api.auth.models import RevokeReason, Session
from devforge_api.auth.schemas import (
    ActivitySchema,
    LoginSchema,
    LogoutSchema,
    PasswordChangeSchema,
    RefreshSchema,
    RegisterSchema,
    SessionSchema,
    TokensSchema,
    UserSchema,
)
from devforge_api.auth.service import sessions, sign_in, verification
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.service.sign_in import Proof, ProofOutdated
from devforge_api.auth.tokens import read_access_token, read_refresh_token
from devforge_api.core.api import Blueprint
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import (
    RateLimited,
    TokenExpired,
    TokenInvalid,
    TokenRefused,
    TokenRevoked,
    Unavailable,
)
from devforge_api.core.gateway import bearer_token
from devforge_api.core.limits import Limit, charge
from devforge_api.core.responses import carries_secret, success
from devforge_api.core.security import public, requires
from devforge_api.users import service as users
from devforge_api.users.errors import EmailTaken
from devforge_api.users.service import Account, User

if TYPE_CHECKING:
    from devforge_api.audit.models import AuditEvent

blp = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Signing in and out.")


def _verification_required() -> bool:
    return bool(current_app.config["EMAIL_VERIFICATION"] == "required")


@blp.route("/register")
class Register(MethodView):
    """New accounts."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(RegisterSchema)
    @blp.response(201, TokensSchema)
    @blp.alt_response(202, description="The address must be verified first; the same for a known one.")
    @blp.raises(EmailTaken, Unavailable)
    def post(self, data: dict[str, Any]) -> Tokens | Response:
        """Make an account"""
        email, name = data["email"], data["name"]
        password_hash = sign_in.prepare_password(data["password"], email=email)
        carries_secret()
        with unit_of_work():
            if _verification_required():
                sign_in.register_silently(email, password_hash, name=name)
                return success({"verification_required": True}, 202)
            user = sign_in.register(email, password_hash, name=name)
            return sessions.open_session(user, device_name=data["device_name"])


@blp.route("/login")
class Login(MethodView):
    """Sign-in by password."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(LoginSchema)
    @blp.response(200, TokensSchema)
    @blp.raises(InvalidCredentials, AccountDisabled, EmailNotVerified, RateLimited, Unavailable)
    def post(self, data: dict[str, Any]) -> Tokens:
        """Sign in"""
        carries_secret()
        for _ in range(2):
            try:
                return self._sign_in(**data)
            except ProofOutdated:
                continue  # what is right now must be proven again
        raise InvalidCredentials

    def _sign_in(self, email: str, password: str, device_name: str | None) -> Tokens:
        proof = _proven(email, password, "auth.sign_in_failed")
        with unit_of_work():
            return sign_in.sign_in(proof, device_name=device_name, must_be_verified=_verification_required())


def _proven(email: str, password: str, failure: str) -> Proof:
    """Prove a password, or note the failure as this action before refusing."""
    try:
        return sign_in.prove_password(email, password)
    except InvalidCredentials:
        with unit_of_work():
            sign_in.note_wrong_password(email, failure)
        raise


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
    found = set()
    try:
        found.add(read_access_token(bearer_token()).session_id)
    except TokenRefused:
        pass
    try:
        found.add(read_refresh_token(data.get("refresh_token") or "").session_id)
    except TokenRefused:
        pass
    return found


@blp.route("/logout-all")
class LogoutAll(MethodView):
    """The end of every session."""

    @requires("sessions:write")
    @blp.response(204)
    @unit_of_work()
    def post(self) -> None:
        """Sign out everywhere"""
        sessions.revoke_all(principal().user_id, RevokeReason.LOGOUT_ALL)


@blp.route("/password/change")
class PasswordChange(MethodView):
    """A new password."""

    @requires("profile:write")
    @blp.arguments(PasswordChangeSchema)
    @blp.response(204)
    @blp.raises(InvalidCredentials, RateLimited, Unavailable)
    def post(self, data: dict[str, str]) -> None:
        """Change one's own password; other sessions end"""
        user = users.get_user(principal().user_id)
        proof = _proven(user.email, data["current_password"], "auth.password_change_failed")
        new_hash = sign_in.prepare_password(data["new_password"], email=user.email, field="new_password")
        with unit_of_work():
            sign_in.change_password(proof, new_hash, session_id=principal().session_id)


@blp.route("/me")
class Me(MethodView):
    """The caller."""

    @requires("profile:read")
    @blp.response(200, UserSchema)
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

    @requires("sessions:write")
    @blp.response(204)
    @blp.raises(SessionNotFound)
    @unit_of_work()
    def delete(self, session_id: UUID) -> None:
        """End one of one's own sessions"""
        session = queries.get_session(session_id, user_id=principal().user_id)
        sessions.revoke_session(session, RevokeReason.REVOKED)


@blp.route("/activity")
class Activity(MethodView):
    """The caller's sign-ins."""

    @requires("sessions:read")
    @blp.listing(queries.ACTIVITY, ActivitySchema)
    def get(self) -> Select[AuditEvent]:
        """List what happened to one's own account"""
        return queries.activity(principal().user_id)
