"""Passwords: registering, proving them, changing them.

Hashing takes 20 ms on purpose and happens before the transaction, so that no lock is held
meanwhile; the transaction then checks that the proof still holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.auth.errors import InvalidCredentials
from devforge_api.auth.models import RevokeReason
from devforge_api.auth.service import one_time, throttle
from devforge_api.auth.service.admission import Challenge, admit
from devforge_api.auth.service.devices import UNKNOWN, Device
from devforge_api.auth.service.sessions import Tokens, revoke_all
from devforge_api.core.outbox import emit
from devforge_api.core.passwords import check_new_password, hash_password, needs_rehash, verify_password
from devforge_api.users import service as users
from devforge_api.users.errors import EmailTaken
from devforge_api.users.service import User


class ProofOutdated(Exception):
    """The password's hash was replaced after it was proven.

    By a change of the password, or by another sign-in that renewed the hash: proving again tells
    which. No answer ever shows this.
    """


@dataclass(frozen=True, slots=True)
class Proof:
    """A password was right for this hash. ``better_hash`` replaces one of older parameters."""

    user_id: UUID
    password_hash: str
    better_hash: str | None
    device: Device = UNKNOWN


def register(
    email: str, password_hash: str, *, name: str | None, locale: str | None, terms_version: str | None = None
) -> User:
    """Make an account, and have its address verified.

    :param password_hash: by `prepare_password`.
    :raises EmailTaken: the address has an account.
    """
    user = users.create_user(
        email, password_hash=password_hash, name=name, locale=locale, terms_version=terms_version
    )
    emit("auth.verification_requested", user_id=str(user.id))
    return user


def prepare_password(password: str, *, email: str, field: str = "password") -> str:
    """Check a new password and hash it; outside of a transaction.

    :raises ValidationFailed: it is too easily guessed. :raises Unavailable: too much hashing.
    """
    check_new_password(password, email=email, field=field)
    return hash_password(password)


def register_silently(
    email: str, password_hash: str, *, name: str | None, locale: str | None, terms_version: str | None = None
) -> None:
    """Make an account, without telling whether the address had one."""
    try:
        register(email, password_hash, name=name, locale=locale, terms_version=terms_version)
    except EmailTaken:
        known = users.find_by_email(email)
        if known is not None:
            emit("auth.register_attempted", user_id=str(known.id))


def prove_password(email: str, password: str, *, device_token: str | None = None) -> Proof:
    """Check an address and a password; outside of a transaction.

    Takes the same time for an unknown address. Every attempt counts against the account until
    one succeeds; those from known devices apart (see `throttle`).

    :param device_token: of an earlier sign-in; one that is not genuine counts as none.

    :raises InvalidCredentials: one of the two is wrong.
    :raises RateLimited: too many failures; nothing was hashed.
    :raises Unavailable: too many sign-ins at this moment.
    """
    attempt = throttle.begin(email, device_token=device_token)
    user_id, password_hash = attempt.user_id, attempt.password_hash
    if not verify_password(password, password_hash) or user_id is None or password_hash is None:
        raise InvalidCredentials
    attempt.succeed()
    better = hash_password(password) if needs_rehash(password_hash) else None
    return Proof(user_id, password_hash, better, attempt.device)


def sign_in(proof: Proof, *, device_name: str | None, must_be_verified: bool) -> Tokens | Challenge:
    """Open a session for a proven password, or ask for the second factor.

    :raises ProofOutdated: the password's hash was replaced in this moment.
    :raises AccountDisabled: the user may not act.
    :raises EmailNotVerified: the address must be verified first.
    """
    user = still_proven(proof)
    if proof.better_hash:
        users.set_password(user, proof.better_hash)
    return admit(
        user,
        device_name=device_name,
        must_be_verified=must_be_verified,
        method="password",
        device=proof.device,
    )


def note_wrong_password(email: str, action: str) -> None:
    """Put a failed attempt into the audit trail, where its account's owner sees it.

    :param action: ``auth.sign_in_failed`` or ``auth.password_change_failed``.
    """
    # Locked, if only against removal: nothing is noted about an account that is being erased.
    user_id = users.lock_against_removal(email)
    audit.record(action, target_type="user", target_id=user_id, changes={"method": (None, "password")})


def change_password(proof: Proof, new_hash: str, *, session_id: UUID) -> None:
    """Replace a proven password; every other session ends.

    :raises InvalidCredentials: the password was changed in this moment.
    """
    try:
        user = still_proven(proof)
    except ProofOutdated:
        raise InvalidCredentials from None
    users.set_password(user, new_hash)
    revoke_all(user.id, RevokeReason.PASSWORD_CHANGED, but=session_id)
    one_time.void(user.id, *one_time.OUTDATED)
    audit.record("auth.password_changed", target_type="user", target_id=user.id)
    emit("auth.password_changed", user_id=str(user.id))


def still_proven(proof: Proof) -> User:
    """The user whose password was proven, locked, if it is the password still.

    :raises InvalidCredentials: the user is gone. :raises ProofOutdated: it was replaced.
    """
    user = users.find_user(proof.user_id, for_update=True)
    if user is None:
        raise InvalidCredentials
    if user.password_hash != proof.password_hash:
        raise ProofOutdated
    return user
