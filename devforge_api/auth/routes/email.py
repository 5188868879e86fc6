"""What goes by mail: a verified address, another address, a new password."""

from __future__ import annotations

from flask.views import MethodView

from devforge_api.auth.errors import OneTimeTokenInvalid
from devforge_api.auth.routes import blp
from devforge_api.auth.schemas.email import AddressSchema, LinkSchema, PasswordResetSchema
from devforge_api.auth.schemas.signing_in import UserSchema
from devforge_api.auth.service import email
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import RateLimited, Unavailable
from devforge_api.core.limits import Limit
from devforge_api.core.security import StepUp, public, requires
from devforge_api.users.errors import EmailTaken
from devforge_api.users.service import User


@blp.route("/email/verify")
class EmailVerify(MethodView):
    """The links of letters."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(LinkSchema)
    @blp.response(200, UserSchema)
    @blp.raises(OneTimeTokenInvalid, EmailTaken)
    @unit_of_work()
    def post(self, data: dict[str, str]) -> User:
        """Confirm an address, a new account's or one that an account changes to"""
        return email.confirm_address(data["token"])


@blp.route("/email/resend")
class EmailResend(MethodView):
    """The verification letter."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(AddressSchema)
    @blp.response(202, description="The same for every address.")
    @unit_of_work()
    def post(self, data: dict[str, str]) -> None:
        """Ask for the verification letter again"""
        email.ask_for_verification(data["email"])


@blp.route("/email/change")
class EmailChange(MethodView):
    """Another address."""

    @requires("security:write", step_up=StepUp.ANEW)
    @blp.arguments(AddressSchema)
    @blp.response(202, description="The same for an address that is taken.")
    @blp.raises(RateLimited)
    @unit_of_work()
    def post(self, data: dict[str, str]) -> None:
        """Change one's own address; it counts once the letter to it was answered"""
        email.request_change(principal().user_id, data["email"])


@blp.route("/password/forgot")
class PasswordForgot(MethodView):
    """A forgotten password."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(AddressSchema)
    @blp.response(202, description="The same for every address.")
    @unit_of_work()
    def post(self, data: dict[str, str]) -> None:
        """Ask for a letter that leads to a new password"""
        email.ask_for_reset(data["email"])


@blp.route("/password/reset")
class PasswordReset(MethodView):
    """A new password in place of a forgotten one."""

    @public(Limit.CREDENTIALS)
    @blp.arguments(PasswordResetSchema)
    @blp.response(204)
    @blp.raises(OneTimeTokenInvalid, Unavailable)
    def post(self, data: dict[str, str]) -> None:
        """Set a new password by a letter's link; every device is signed out"""
        password_hash = email.prepare_reset(data["token"], data["password"])
        with unit_of_work():
            email.reset_password(data["token"], password_hash)
