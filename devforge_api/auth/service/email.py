"""What goes by mail: verifying an address, changing it, and a new password for a forgotten one.

Who reads the mailbox decides. Letters go to the address that is stored, never to the spelling
that somebody typed; how many, is decided by what was written before, with the user locked.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.auth.errors import OneTimeTokenInvalid
from devforge_api.auth.models import Purpose, RevokeReason
from devforge_api.auth.service import claims, notices, one_time, sign_in
from devforge_api.auth.service.latecomers import refuse_latecomer
from devforge_api.auth.service.notices import A_DAY, LETTERS_A_DAY, may_tell, may_write
from devforge_api.auth.service.one_time import Consumed
from devforge_api.auth.service.sessions import revoke_all
from devforge_api.core.clock import utc_now
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.core.errors import RateLimited
from devforge_api.core.mail import outgoing
from devforge_api.core.mail.links import account_link
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.users.service import User

VERIFY_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = CHANGE_LIFETIME = timedelta(hours=1)
APART = timedelta(minutes=1)
ATTEMPTS_APART = timedelta(hours=1)


# --- asking: the same single insert for every address ---------------------------------------
def ask_for_verification(address: str) -> None:
    """Somebody wants the verification letter again; who it is, is looked up later."""
    emit("auth.resend_requested", email=encrypt(address))


def ask_for_reset(address: str) -> None:
    """Somebody has forgotten a password; whose it is, is looked up later."""
    emit("auth.password_forgotten", email=encrypt(address))


# --- writing letters, in the worker --------------------------------------------------------
def write_first_verification(user_id: UUID) -> None:
    """The letter to a new account; five a day also where accounts are made and erased in turn."""
    user = _lock(user_id)
    if user is None or user.email_verified:
        return
    if may_write(user.email, "verify_email"):
        _write_verification(user)


def write_verification_again(encrypted_address: str) -> None:
    """The letter once more; a minute apart, five a day."""
    user = _lock_by_address(encrypted_address)
    if user is None or user.email_verified:
        return
    if user.password_hash is None:
        _write_completion(user)
    elif may_write(user.email, "verify_email", apart=APART):
        _write_verification(user)


def answer_second_registration(user_id: UUID) -> None:
    """Somebody registered with a known address.

    A verified owner is told, once an hour. Of an unverified account nobody knows whose it is, or
    which of the two passwords is the owner's: neither counts, and whoever reads the letter chooses
    one. So nobody prepares an account for somebody else to confirm.
    """
    user = _lock(user_id)
    if user is None:
        return
    if user.email_verified:
        if may_write(user.email, "already_registered", apart=ATTEMPTS_APART):
            outgoing.send("already_registered", to=user.email, locale=user.locale)
        return
    one_time.void(user.id, Purpose.VERIFY_EMAIL)
    users.set_password(user, None)
    _write_completion(user)


def write_reset(encrypted_address: str) -> None:
    """The letter for a forgotten password; a minute apart, five a day."""
    user = _lock_by_address(encrypted_address)
    if user is None or not may_write(user.email, "reset_password", apart=APART):
        return
    token = one_time.issue(Purpose.RESET_PASSWORD, lifetime=RESET_LIFETIME, user_id=user.id)
    _send_link("reset_password", user, "reset", token, lifetime=RESET_LIFETIME)


# --- using the links -----------------------------------------------------------------------
def confirm_address(token: str) -> User:
    """Use the link of a verification, or of a change of address.

    :raises OneTimeTokenInvalid: it is neither.
    :raises EmailTaken: the new address was given to another account meanwhile.
    """
    try:
        return _verify(one_time.consume(Purpose.VERIFY_EMAIL, token))
    except OneTimeTokenInvalid:
        return _change(one_time.consume(Purpose.CHANGE_EMAIL, token))


def prepare_reset(token: str, password: str) -> str:
    """Check and hash the password for a reset, outside of a transaction; garbage costs no hash.

    :raises OneTimeTokenInvalid: the token is no good. :raises ValidationFailed: the password.
    :raises Unavailable: too much hashing.
    """
    row = one_time.find(Purpose.RESET_PASSWORD, token)
    user = users.find_user(row.user_id) if row.user_id else None
    if user is None:
        raise OneTimeTokenInvalid
    return sign_in.prepare_password(password, email=user.email)


def reset_password(token: str, password_hash: str) -> None:
    """Set the password of whoever got the letter; every device is signed out.

    Signs nobody in: a second factor is asked for as always. Where nobody had verified the address,
    whoever made the account may have been a stranger: no way in that was prepared stays good.

    :param password_hash: by `prepare_reset`.
    :raises OneTimeTokenInvalid: used, voided or expired meanwhile.
    """
    user = _user_of(one_time.consume(Purpose.RESET_PASSWORD, token))
    one_time.void(user.id, *one_time.OUTDATED)
    users.set_password(user, password_hash)
    if not user.email_verified:
        claims.end_prepared_ways(user.id)
    users.verify_email(user)
    _end_everything(user)
    audit.record("auth.password_reset", target_type="user", target_id=user.id, actor_id=user.id)
    emit("auth.password_changed", user_id=str(user.id))


def request_change(user_id: UUID, address: str) -> None:
    """Write to an address that is to become the user's, and to the present one.

    The same happens whether the address is taken: then its owner gets another letter, and the
    token is one that nobody has seen.

    :raises RateLimited: the last one was a minute ago, or there were five today.
    :raises TokenRevoked: see `refuse_latecomer`.
    """
    user = users.get_user(user_id, for_update=True)
    refuse_latecomer(user)
    now = utc_now()
    if one_time.count_since(now - APART, Purpose.CHANGE_EMAIL, user.id):
        raise RateLimited(int(APART.total_seconds()))
    if one_time.count_since(now - A_DAY, Purpose.CHANGE_EMAIL, user.id) >= LETTERS_A_DAY:
        raise RateLimited(int(ATTEMPTS_APART.total_seconds()))
    one_time.void(user.id, Purpose.CHANGE_EMAIL)
    token = one_time.issue(
        Purpose.CHANGE_EMAIL, lifetime=CHANGE_LIFETIME, user_id=user.id, data={"email": address}
    )
    holder = users.find_by_email(address)
    if holder is not None and holder.id != user.id:
        if may_write(holder.email, "address_taken"):
            outgoing.send("address_taken", to=holder.email, locale=holder.locale)
    elif may_write(address, "change_email"):
        _send_link("change_email", user, "email-change", token, lifetime=CHANGE_LIFETIME, to=address)
    if may_tell(user, "change_email_requested"):
        outgoing.send("change_email_requested", to=user.email, locale=user.locale, at=notices.moment())
    audit.record("auth.email_change_requested", target_type="user", target_id=user.id)


def _verify(used: Consumed) -> User:
    user = _user_of(used)
    if used.data["email"] != user.email:
        raise OneTimeTokenInvalid
    one_time.void(user.id, Purpose.VERIFY_EMAIL)
    users.verify_email(user)
    return user


def _change(used: Consumed) -> User:
    user = _user_of(used)
    told = [used.data["email"]]
    if may_tell(user, "email_changed"):
        told.insert(0, user.email)
    one_time.void(user.id, Purpose.VERIFY_EMAIL, Purpose.RESET_PASSWORD, Purpose.CHANGE_EMAIL)
    users.change_email(user, used.data["email"])
    for address in told:
        outgoing.send("email_changed", to=address, locale=user.locale, at=notices.moment())
    return user


def _write_verification(user: User) -> None:
    token = one_time.issue(
        Purpose.VERIFY_EMAIL, lifetime=VERIFY_LIFETIME, user_id=user.id, data={"email": user.email}
    )
    _send_link("verify_email", user, "verify", token, lifetime=VERIFY_LIFETIME)


def _write_completion(user: User) -> None:
    """The letter to an account without a password: choosing one also verifies the address."""
    if not may_write(user.email, "complete_registration", apart=APART):
        return
    token = one_time.issue(Purpose.RESET_PASSWORD, lifetime=VERIFY_LIFETIME, user_id=user.id)
    _send_link("complete_registration", user, "reset", token, lifetime=VERIFY_LIFETIME)


def _send_link(
    letter: str, user: User, page: str, token: str, *, lifetime: timedelta, to: str | None = None
) -> None:
    outgoing.send(
        letter,
        to=to or user.email,
        locale=user.locale,
        link=account_link(page, token),
        hours=lifetime // timedelta(hours=1),
        minutes=lifetime // timedelta(minutes=1),
    )


def _end_everything(user: User) -> None:
    revoke_all(user.id, RevokeReason.PASSWORD_CHANGED)
    users.invalidate_tokens(user)


def _user_of(used: Consumed) -> User:
    if used.user is None:
        raise OneTimeTokenInvalid
    return used.user


def _lock(user_id: UUID) -> User | None:
    """The user, if there still is one who may act."""
    user = users.find_user(user_id, for_update=True)
    return user if user is not None and user.is_active else None


def _lock_by_address(encrypted_address: str) -> User | None:
    known = users.find_by_email(decrypt(encrypted_address))
    return _lock(known.id) if known is not None else None
