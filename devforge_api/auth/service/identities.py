"""Accounts elsewhere by which users sign in here: whose account a vouched identity opens.

The rules: a known identity opens its account. An unknown one whose address the provider has
verified is linked to the account with that address; was the address unverified *here*, whoever
made that account never owned it, and nothing of theirs stays good. An address that the provider
has not verified opens no account that is there already.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import (
    AccountDisabled,
    IdentityTaken,
    LastSignInMethod,
    LinkRequired,
    ProviderEmailMissing,
)
from devforge_api.auth.models import Identity, Purpose, RevokeReason
from devforge_api.auth.service import claims, mfa, one_time
from devforge_api.auth.service.admission import Challenge, admit
from devforge_api.auth.service.latecomers import refuse_latecomer
from devforge_api.auth.service.sessions import Tokens, revoke_all
from devforge_api.auth.service.vouched import VouchedIdentity
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db
from devforge_api.core.errors import EditConflict
from devforge_api.core.outbox import emit
from devforge_api.users import service as users
from devforge_api.users.errors import EmailTaken
from devforge_api.users.service import User, email_key

ATTEMPTS = 5  # each is lost only to another transaction that has won meanwhile


def sign_in(
    vouched: VouchedIdentity, *, device_name: str | None, must_be_verified: bool
) -> Tokens | Challenge | None:
    """Open the account that an identity stands for, made or linked where the rules say so.

    :returns: None where the account's address must be verified first; the caller commits, as the
        account may be new, then refuses by `EmailNotVerified`.
    :raises LinkRequired: the address has an account, and the provider has not verified it.
    :raises ProviderEmailMissing: an account cannot be made without an address.
    :raises AccountDisabled: the user may not act.
    :raises EditConflict: others were faster again and again.
    """
    user = _user_of(vouched, must_be_verified=must_be_verified)
    if must_be_verified and user.is_active and not user.email_verified:
        return None
    return admit(user, device_name=device_name, must_be_verified=must_be_verified, method=vouched.provider)


def _user_of(vouched: VouchedIdentity, *, must_be_verified: bool) -> User:
    """The account's user, locked."""
    for _ in range(ATTEMPTS):
        known = queries.find_identity(vouched.provider, vouched.subject)
        if known is not None:
            user = _known(known, vouched)
        elif vouched.email is None:
            raise ProviderEmailMissing
        else:
            holder = users.find_by_email(vouched.email)
            user = (
                _adopted(holder.id, vouched)
                if holder is not None
                else _created(vouched, vouched.email, must_be_verified=must_be_verified)
            )
        if user is not None:
            return user
    raise EditConflict


def _known(identity: Identity, vouched: VouchedIdentity) -> User | None:
    """The user of a known identity; None if it was unlinked in this moment."""
    user = users.find_user(identity.user_id, for_update=True)
    if user is None:
        return None
    still_theirs = (
        update(Identity)
        .where(Identity.id == identity.id, Identity.user_id == user.id)
        .values(last_used_at=utc_now(), email=vouched.email or identity.email)
        .execution_options(synchronize_session=False)
    )
    if affected(still_theirs) != 1:
        return None
    if _proves_address(user, vouched):
        users.verify_email(user)
    return user


def _created(vouched: VouchedIdentity, email: str, *, must_be_verified: bool) -> User | None:
    """A new account; None if another transaction has made it in this moment."""
    try:
        with db.session.begin_nested():
            user = users.create_user(
                email, password_hash=None, name=vouched.name, email_verified=vouched.email_verified
            )
            _add(user, vouched)
    except (EmailTaken, IntegrityError):
        return None
    if must_be_verified and not vouched.email_verified:
        emit("auth.verification_requested", user_id=str(user.id))
    return user


def _adopted(user_id: UUID, vouched: VouchedIdentity) -> User | None:
    """The account that has the identity's address, linked; None if either changed in this moment."""
    user = users.find_user(user_id, for_update=True)
    if user is None or vouched.email is None or email_key(user.email) != email_key(vouched.email):
        return None
    if not vouched.email_verified:
        raise LinkRequired(provider=vouched.provider)
    if not user.is_active:
        raise AccountDisabled
    try:
        with db.session.begin_nested():
            identity = _add(user, vouched)
    except IntegrityError:
        return None
    if not user.email_verified:
        _claim(user, identity)
    emit("auth.identity_linked", user_id=str(user.id), provider=vouched.provider)
    return user


def _claim(user: User, identity: Identity) -> None:
    """The address is this identity's: nothing stays good of whoever took it without owning it."""
    users.set_password(user, None)
    users.invalidate_tokens(user)
    revoke_all(user.id, RevokeReason.REVOKED)
    one_time.void(user.id, *Purpose)
    claims.end_prepared_ways(user.id, but=identity.id)
    mfa.forget(user.id)
    audit.record("auth.account_claimed", target_type="user", target_id=user.id, actor_id=user.id)
    users.verify_email(user)


def link(user_id: UUID, vouched: VouchedIdentity) -> tuple[Identity, bool]:
    """Let a vouched identity open the account of a signed-in user. Returns whether it is new.

    :raises IdentityTaken: it opens another account. :raises TokenRevoked: see `refuse_latecomer`.
    """
    user = users.get_user(user_id, for_update=True)
    refuse_latecomer(user)
    for _ in range(ATTEMPTS):
        known = queries.find_identity(vouched.provider, vouched.subject)
        if known is not None:
            if known.user_id != user.id:
                raise IdentityTaken
            return known, False
        try:
            with db.session.begin_nested():
                identity = _add(user, vouched)
        except IntegrityError:
            continue
        if _proves_address(user, vouched):
            users.verify_email(user)
        emit("auth.identity_linked", user_id=str(user.id), provider=vouched.provider)
        return identity, True
    raise EditConflict


def get_to_edit(identity_id: UUID, *, user_id: UUID) -> Identity:
    """One of the user's identities, after its user is locked.

    :raises IdentityNotFound: unknown, or another's.
    """
    users.get_user(user_id, for_update=True)
    return queries.get_identity(identity_id, user_id=user_id)


def unlink(identity: Identity, *, usable: Collection[str]) -> None:
    """Let an identity open its account no more.

    :param identity: by `get_to_edit`.
    :param usable: the providers that are configured; others let nobody in.
    :raises LastSignInMethod: nothing else would let the user in.
    """
    user = users.get_user(identity.user_id)
    others = db.session.scalars(queries.identities(user.id).where(Identity.id != identity.id))
    if user.password_hash is None and not any(one.provider in usable for one in others):
        raise LastSignInMethod
    db.session.delete(identity)
    _record("auth.identity_unlinked", user, (identity.provider, None))
    emit("auth.identity_unlinked", user_id=str(user.id), provider=identity.provider)
    db.session.flush()


def _add(user: User, vouched: VouchedIdentity) -> Identity:
    identity = Identity(
        user_id=user.id, provider=vouched.provider, subject=vouched.subject, email=vouched.email
    )
    db.session.add(identity)
    _record("auth.identity_linked", user, (None, vouched.provider))
    db.session.flush()
    return identity


def _record(action: str, user: User, provider: tuple[str | None, str | None]) -> None:
    audit.record(
        action, target_type="user", target_id=user.id, actor_id=user.id, changes={"provider": provider}
    )


def _proves_address(user: User, vouched: VouchedIdentity) -> bool:
    """Whether the provider has verified the very address that the account has."""
    return (
        vouched.email_verified
        and vouched.email is not None
        and email_key(vouched.email) == email_key(user.email)
    )
