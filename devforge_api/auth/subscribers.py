"""What auth does when something happened, here or elsewhere."""

from typing import Any
from uuid import UUID

from devforge_api.auth.models import RevokeReason
from devforge_api.auth.service import email, notices, one_time, personal_tokens, sessions
from devforge_api.core.outbox import on


@on("user.disabled")
def end_sessions(payload: dict[str, Any]) -> None:
    """A banned user's refresh tokens, tools' tokens and letters' links stay dead when the ban is lifted."""
    user_id = UUID(payload["user_id"])
    sessions.revoke_all(user_id, RevokeReason.REVOKED)
    personal_tokens.revoke_all(user_id)
    one_time.void(user_id, *one_time.OUTDATED)


# --- letters that were asked for -----------------------------------------------------------
@on("auth.verification_requested")
def write_first_verification(payload: dict[str, Any]) -> None:
    """To a new account."""
    email.write_first_verification(UUID(payload["user_id"]))


@on("auth.resend_requested")
def write_verification_again(payload: dict[str, Any]) -> None:
    """To an account that waits, if there is one."""
    email.write_verification_again(payload["email"])


@on("auth.register_attempted")
def answer_second_registration(payload: dict[str, Any]) -> None:
    """To the owner, or to whoever will turn out to be it."""
    email.answer_second_registration(UUID(payload["user_id"]))


@on("auth.password_forgotten")
def write_reset(payload: dict[str, Any]) -> None:
    """To the account, if there is one."""
    email.write_reset(payload["email"])


# --- security letters ----------------------------------------------------------------------
@on("auth.password_changed")
def tell_of_password(payload: dict[str, Any]) -> None:
    """Told in any case: this is what a thief does first."""
    notices.tell(UUID(payload["user_id"]), "password_changed", even_unverified=True)


@on("auth.reuse_detected")
def tell_of_reuse(payload: dict[str, Any]) -> None:
    """A copied refresh token."""
    notices.tell(UUID(payload["user_id"]), "reuse_detected")


@on("auth.new_device")
def tell_of_device(payload: dict[str, Any]) -> None:
    """A device that was not known."""
    notices.tell_of_device(UUID(payload["user_id"]), UUID(payload["session_id"]))


@on("auth.mfa_enabled")
def tell_of_mfa_enabled(payload: dict[str, Any]) -> None:
    """Two steps from now on."""
    notices.tell(UUID(payload["user_id"]), "mfa_enabled")


@on("auth.mfa_disabled")
def tell_of_mfa_disabled(payload: dict[str, Any]) -> None:
    """One step from now on."""
    notices.tell(UUID(payload["user_id"]), "mfa_disabled")


@on("auth.recovery_code_used")
def tell_of_recovery_code(payload: dict[str, Any]) -> None:
    """One code less."""
    notices.tell(UUID(payload["user_id"]), "recovery_code_used")


@on("auth.token_created")
def tell_of_token(payload: dict[str, Any]) -> None:
    """Somebody can act in the user's name."""
    notices.tell(UUID(payload["user_id"]), "token_created")


@on("auth.identity_linked")
def tell_of_identity_linked(payload: dict[str, Any]) -> None:
    """One more way in."""
    provider = notices.provider_name(payload["provider"])
    notices.tell(UUID(payload["user_id"]), "identity_linked", provider=provider)


@on("auth.identity_unlinked")
def tell_of_identity_unlinked(payload: dict[str, Any]) -> None:
    """One way in less."""
    provider = notices.provider_name(payload["provider"])
    notices.tell(UUID(payload["user_id"]), "identity_unlinked", provider=provider)
