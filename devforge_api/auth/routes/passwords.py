"""Registering, and signing in by password."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask.views import MethodView

from devforge_api.auth.errors import AccountDisabled, EmailNotVerified, InvalidCredentials
from devforge_api.auth.routes import blp
from devforge_api.auth.schemas.signing_in import (
    FirstTokensSchema,
    LoginAnswerSchema,
    LoginSchema,
    PasswordChangeSchema,
    RegisterSchema,
)
from devforge_api.auth.service import sessions, sign_in
from devforge_api.auth.service.admission import Challenge
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.service.sign_in import Proof, ProofOutdated
from devforge_api.core.context import own_session, principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import RateLimited, Unavailable
from devforge_api.core.languages import best_language
from devforge_api.core.limits import Limit
from devforge_api.core.responses import carries_secret, success
from devforge_api.core.security import public, requires
from devforge_api.users import service as users
from devforge_api.users.errors import EmailTaken, TermsNotAccepted


def verification_required() -> bool:
    """Whether signing in waits for a verified address."""
    return bool(current_app.config["EMAIL_VERIFICATION"] == "required")


def _asked_language() -> str | None:
    """The best language of the request's own that letters are written in."""
    asked = request.headers.get("Accept-Language")
    return best_language(asked) if asked else None


@blp.route("/register")
class Register(MethodView):
    """New accounts."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(RegisterSchema)
    @blp.response(201, FirstTokensSchema, location=lambda _: "/api/v1/users/me")
    @blp.alt_response(202, description="The address must be verified first; the same for a known one.")
    @blp.raises(EmailTaken, TermsNotAccepted, Unavailable)
    def post(self, data: dict[str, Any]) -> Tokens | Response:
        """Make an account"""
        email = data["email"]
        about = {"name": data["name"], "locale": data["locale"] or _asked_language()}
        about["terms_version"] = users.check_terms(
            data["accepted_terms"], in_force=current_app.config["TERMS_VERSION"]
        )
        password_hash = sign_in.prepare_password(data["password"], email=email)
        carries_secret()
        with unit_of_work():
            if verification_required():
                sign_in.register_silently(email, password_hash, **about)
                return success({"verification_required": True}, 202)
            user = sign_in.register(email, password_hash, **about)
            return sessions.open_session(user, device_name=data["device_name"], method="password")


@blp.route("/login")
class Login(MethodView):
    """Sign-in by password."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(LoginSchema)
    @blp.response(200, LoginAnswerSchema)
    @blp.raises(InvalidCredentials, AccountDisabled, EmailNotVerified, RateLimited, Unavailable)
    def post(self, data: dict[str, Any]) -> Tokens | Challenge:
        """Sign in; with a second factor the answer is a challenge instead of tokens"""
        carries_secret()
        return sign_in_by_password(**data)


def sign_in_by_password(
    email: str, password: str, device_name: str | None, device_token: str | None = None
) -> Tokens | Challenge:
    """Prove a password and sign in by it, in a transaction of its own; for the pages, too."""
    for _ in range(2):
        proof = proven(email, password, "auth.sign_in_failed", device_token=device_token)
        try:
            with unit_of_work():
                return sign_in.sign_in(
                    proof, device_name=device_name, must_be_verified=verification_required()
                )
        except ProofOutdated:
            continue  # what is right now must be proven again
    raise InvalidCredentials


def proven(email: str, password: str, failure: str, *, device_token: str | None = None) -> Proof:
    """Prove a password, or note the failure as this action before refusing."""
    try:
        return sign_in.prove_password(email, password, device_token=device_token)
    except InvalidCredentials:
        with unit_of_work():
            sign_in.note_wrong_password(email, failure)
        raise


@blp.route("/password/change")
class PasswordChange(MethodView):
    """A new password."""

    @requires("security:write")
    @blp.arguments(PasswordChangeSchema)
    @blp.response(204)
    @blp.raises(InvalidCredentials, RateLimited, Unavailable)
    def post(self, data: dict[str, str]) -> None:
        """Change one's own password; other sessions end"""
        user = users.get_user(principal().user_id)
        proof = proven(user.email, data["current_password"], "auth.password_change_failed")
        new_hash = sign_in.prepare_password(data["new_password"], email=user.email, field="new_password")
        with unit_of_work():
            sign_in.change_password(proof, new_hash, session_id=own_session())
