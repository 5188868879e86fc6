"""The second factor: setting it up, signing in with it, and proving once more who one is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView

from devforge_api.auth.errors import (
    AccountDisabled,
    EmailNotVerified,
    InvalidCredentials,
    MfaAlreadyEnabled,
    MfaChallengeInvalid,
    MfaCodeInvalid,
    MfaNotEnabled,
)
from devforge_api.auth.routes import blp
from devforge_api.auth.routes.passwords import proven
from devforge_api.auth.routes.second_factor import answer_challenge
from devforge_api.auth.schemas.second_factor import (
    EnrolmentSchema,
    MfaStateSchema,
    MfaVerifySchema,
    ReauthSchema,
    RecoveryCodesSchema,
    TotpConfirmSchema,
)
from devforge_api.auth.schemas.signing_in import FirstTokensSchema
from devforge_api.auth.service import mfa, reauth
from devforge_api.auth.service.mfa import Enrolment, State
from devforge_api.auth.service.sessions import Tokens
from devforge_api.auth.service.sign_in import ProofOutdated
from devforge_api.core.context import own_session, principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import RateLimited, Unavailable, ValidationFailed
from devforge_api.core.limits import Limit
from devforge_api.core.responses import carries_secret
from devforge_api.core.security import StepUp, public, requires
from devforge_api.users import service as users


@blp.route("/mfa")
class Mfa(MethodView):
    """The caller's second factor."""

    @requires("security:read")
    @blp.response(200, MfaStateSchema)
    def get(self) -> State:
        """Show whether signing in asks for a second factor"""
        return mfa.state(principal().user_id)


@blp.route("/mfa/totp")
class Totp(MethodView):
    """The caller's authenticator app."""

    @requires("security:write", step_up=StepUp.LATELY)  # else a thief of the token locks the owner out
    @blp.response(201, EnrolmentSchema, location=lambda _: "/api/v1/auth/mfa")
    @blp.raises(MfaAlreadyEnabled)
    @unit_of_work()
    def post(self) -> Enrolment:
        """Enrol an authenticator app; it counts once it is confirmed"""
        carries_secret()
        return mfa.enrol(principal().user_id)

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.response(204)
    @blp.raises(MfaNotEnabled)
    @unit_of_work()
    def delete(self) -> None:
        """Remove the second factor and its recovery codes"""
        mfa.disable(principal().user_id)


@blp.route("/mfa/totp/confirm")
class TotpConfirmation(MethodView):
    """The first code of an app."""

    @requires("security:write")
    @blp.arguments(TotpConfirmSchema)
    @blp.response(200, RecoveryCodesSchema)
    @blp.raises(MfaCodeInvalid, MfaNotEnabled, MfaAlreadyEnabled)
    @unit_of_work()
    def post(self, data: dict[str, str]) -> dict[str, list[str]]:
        """Confirm the app: from now on signing in asks for its codes"""
        carries_secret()
        return {"recovery_codes": mfa.confirm(principal().user_id, data["code"])}


@blp.route("/mfa/recovery-codes")
class RecoveryCodes(MethodView):
    """Codes for when the app is lost."""

    @requires("security:write", step_up=StepUp.LATELY)
    @blp.response(200, RecoveryCodesSchema)
    @blp.raises(MfaNotEnabled)
    @unit_of_work()
    def post(self) -> dict[str, list[str]]:
        """Make new recovery codes; the old ones stop working"""
        carries_secret()
        return {"recovery_codes": mfa.renew_recovery_codes(principal().user_id)}


@blp.route("/mfa/verify")
class MfaVerification(MethodView):
    """The second half of a sign-in."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(MfaVerifySchema)
    @blp.response(200, FirstTokensSchema)
    @blp.raises(
        MfaCodeInvalid, MfaChallengeInvalid, AccountDisabled, EmailNotVerified, RateLimited, Unavailable
    )
    def post(self, data: dict[str, Any]) -> Tokens:
        """Answer a sign-in's challenge by a code of the app or a recovery code"""
        carries_secret()
        return answer_challenge(**data)


@blp.route("/reauth")
class Reauth(MethodView):
    """Proving once more who one is."""

    @requires("security:write")
    @blp.arguments(ReauthSchema)
    @blp.response(204)
    @blp.raises(InvalidCredentials, MfaCodeInvalid, RateLimited, Unavailable)
    def post(self, data: dict[str, Any]) -> None:
        """Open what asks for a recent proof, for ten minutes; the access token stays valid"""
        user = users.get_user(principal().user_id)
        if data["code"] is None:
            self._by_password(user.email, data["password"])
        elif user.password_hash is None:
            self._by_code(user.id, data["code"])
        else:
            raise ValidationFailed.of("password", "This account has a password: send that.", "REQUIRED")

    def _by_password(self, email: str, password: str) -> None:
        for _ in range(2):
            proof = proven(email, password, "auth.sign_in_failed")
            try:
                with unit_of_work():
                    return reauth.by_password(proof, session_id=own_session())
            except ProofOutdated:
                continue  # what is right now must be proven again
        raise InvalidCredentials

    def _by_code(self, user_id: UUID, code: str) -> None:
        mfa.charge_attempt(user_id, code)
        with unit_of_work():
            right = reauth.by_code(user_id, code, session_id=own_session())
        if not right:
            raise MfaCodeInvalid
        mfa.forgive_attempts(user_id)
