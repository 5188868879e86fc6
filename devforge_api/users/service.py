"""Making, changing and removing accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import set_committed_value

from devforge_api.audit import service as audit
from devforge_api.core import personal_data, revocation
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unedited
from devforge_api.core.outbox import emit
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject
from devforge_api.users.errors import EmailTaken, LastAdmin, TermsNotAccepted
from devforge_api.users.models import Role, User, UserStatus, email_key
from devforge_api.users.queries import (
    Account,
    find_by_email,
    find_user,
    get_account,
    get_user,
    get_user_beside_admins,
    lock_against_removal,
)

__all__ = [
    "ACCOUNT_DATA", "Account", "Role", "User", "UserStatus", "accept_terms", "change_email",
    "check_removable", "check_terms", "create_user", "delete_user", "email_key", "erase_data",
    "find_by_email", "find_user", "get_account", "get_user", "get_user_beside_admins", "invalidate_tokens",
    "lock_against_removal", "note_export", "set_password", "subject_of", "touch_login",
    "unlock", "update_user", "verify_email",
]  # fmt: skip


def create_user(
    email: str,
    *,
    password_hash: str | None,
    name: str | None = None,
    role: Role = Role.USER,
    email_verified: bool = False,
    locale: str | None = None,
    terms_version: str | None = None,
) -> User:
    """Make an account.

    :param password_hash: made by ``core.passwords``; None: no password sign-in.
    :param email_verified: somebody vouches that the address is the user's.
    :param terms_version: that the user accepts, by `check_terms`.
    :raises EmailTaken: the address has an account, in whatever case it is written.
    """
    user = User(
        email=email,
        email_key=email,
        name=name,
        role=role,
        password_hash=password_hash,
        locale=locale,
        terms_version=terms_version,
        terms_accepted_at=utc_now() if terms_version else None,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
            db.session.flush()
    except IntegrityError as error:
        raise EmailTaken from error
    changes = {"role": (None, role)} | ({"terms_version": (None, terms_version)} if terms_version else {})
    audit.record("user.created", target_type="user", target_id=user.id, changes=changes)
    emit("user.created", user_id=str(user.id))
    if email_verified:
        verify_email(user)
    return user


def verify_email(user: User) -> None:
    """The address is known to be the user's: what waited for it is theirs now."""
    if user.email_verified_at is None:
        user.email_verified_at = utc_now()
        changes = {"email_verified": (False, True)}
        audit.record("user.email_verified", target_type="user", target_id=user.id, changes=changes)
        emit("user.email_verified", user_id=str(user.id))
        db.session.flush()


def change_email(user: User, email: str) -> None:
    """Give a user another address, which is known to be theirs.

    :param user: locked in this transaction.
    :raises EmailTaken: another account has it.
    """
    user.email, user.email_key, user.email_verified_at = email, email, utc_now()
    try:
        with db.session.begin_nested():
            db.session.flush()
    except IntegrityError as error:
        raise EmailTaken from error
    audit.record("user.email_changed", target_type="user", target_id=user.id)
    emit("user.email_changed", user_id=str(user.id))
    emit("user.email_verified", user_id=str(user.id))


def update_user(user: User, values: Mapping[str, Any]) -> User:
    """Change an account; a demotion or a ban acts on the next request.

    :param user: by `get_user_beside_admins` where role or status may change.
    :param values: of ``name, avatar_url, locale, settings, role, status, email_verified``.
    :raises LastAdmin: no active admin would be left.
    """
    values = dict(values)
    verified = values.pop("email_verified", None)
    loses_admin = (
        values.get("role", user.role) is not Role.ADMIN or values.get("status") is UserStatus.DISABLED
    )
    if user.role is Role.ADMIN and user.is_active and loses_admin:
        _keep_an_admin(user)
    changes = audit.apply(user, values)
    if verified is True:
        verify_email(user)
    elif verified is False and user.email_verified_at:
        user.email_verified_at = None
        changes["email_verified"] = (True, False)
    if "settings" in changes:
        changes["settings"] = ("(settings)", "(settings)")  # may be large, and is the user's own
    if changes:
        audit.record("user.updated", target_type="user", target_id=user.id, changes=changes)
    if "role" in changes or "status" in changes:
        invalidate_tokens(user)
    if "status" in changes:
        banned = changes["status"][1] is UserStatus.DISABLED
        emit("user.disabled" if banned else "user.enabled", user_id=str(user.id))
    db.session.flush()
    return user


def invalidate_tokens(user: User) -> None:
    """Refuse every access token that was issued before now."""
    user.token_version += 1
    revocation.deny_user(user.id, below_version=user.token_version)


def set_password(user: User, password_hash: str | None) -> None:
    """Replace the password's hash; None: no password signs in."""
    user.password_hash = password_hash
    db.session.flush()


# Runs with every sign-in: built once.
_TOUCH_LOGIN = unedited(User, User.id == bindparam("user_id"), last_login=bindparam("at"))


def touch_login(user: User, at: datetime) -> None:
    """Note when a user signed in; no edit, so version and ``updated_at`` stay."""
    db.session.execute(_TOUCH_LOGIN, {"user_id": user.id, "at": at})
    set_committed_value(user, "last_login", at)


def unlock(user: User) -> None:
    """Let failed sign-ins of before not count any more, in every process from now on.

    The moment is part of the name under which failures are counted (``auth.service.throttle``);
    no edit, so version and ``updated_at`` stay.
    """
    db.session.execute(unedited(User, User.id == user.id, unlocked_at=utc_now()))
    audit.record("user.unlocked", target_type="user", target_id=user.id)


def check_terms(accepted: str | None, *, in_force: str | None) -> str | None:
    """The version that is accepted; None where there are no terms.

    :raises TermsNotAccepted: another one, or none, while there are terms.
    """
    if in_force is not None and accepted != in_force:
        raise TermsNotAccepted(None, version=in_force)
    return in_force


def accept_terms(user: User, version: str) -> User:
    """Note that a user accepts a version of the terms, by `check_terms`; once for each version.

    :param user: locked in this transaction.
    """
    if user.terms_version != version:
        changes = {"terms_version": (user.terms_version, version)}
        user.terms_version, user.terms_accepted_at = version, utc_now()
        audit.record("user.terms_accepted", target_type="user", target_id=user.id, changes=changes)
        db.session.flush()
    return user


def delete_user(user: User) -> list[tuple[str, Erased]]:
    """Erase an account and all that is known of its user; its tokens die at once.

    Every domain erases its part in this transaction; what must stay is anonymised. Whatever adds to
    the account locks its row first, so it comes before this, and is erased, or finds nobody.

    :param user: by `get_user_beside_admins`.
    :returns: what became of which domain's rows.
    :raises LastAdmin: it is the last active admin.
    """
    check_removable(user)
    invalidate_tokens(user)
    audit.record("user.deleted", target_type="user", target_id=user.id)
    emit("user.deleted", user_id=str(user.id))
    db.session.flush()
    return erase_data(user)


def check_removable(user: User) -> None:
    """:raises LastAdmin: it is the last active admin."""
    if user.role is Role.ADMIN and user.is_active:
        _keep_an_admin(user)


def erase_data(user: User) -> list[tuple[str, Erased]]:
    """The database's part of `delete_user`: it can be rolled back to see what would be erased."""
    erased = personal_data.erase(subject_of(user))
    db.session.expunge(user)
    return erased


def subject_of(user: User) -> Subject:
    """A user as the domains' exporters and erasers know them."""
    return Subject(user.id, user.email, user.email_verified)


def note_export(user: User) -> Subject:
    """Put into the audit trail that a user's data are handed out."""
    audit.record("user.exported", target_type="user", target_id=user.id)
    return subject_of(user)


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    found = personal_data.rows(User, User.id == subject.user_id, without=frozenset({"password_hash"}))
    yield "profile", found


def _erase(subject: Subject) -> Iterator[Erased]:
    yield personal_data.run("users", "removed", delete(User).where(User.id == subject.user_id))


ACCOUNT_DATA = PersonalData("account", frozenset({"users"}), _export, _erase)


def _keep_an_admin(leaving: User) -> None:
    """Insist on another active admin; locked, so that none of them leaves meanwhile."""
    active = (
        select(User.id)
        .where(User.role == Role.ADMIN, User.status == UserStatus.ACTIVE)
        .order_by(User.id)
        .with_for_update()
    )
    if not set(db.session.scalars(active)) - {leaving.id}:
        raise LastAdmin
