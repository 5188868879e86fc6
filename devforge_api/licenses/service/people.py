"""Who may use a licence beside its owner: added, removed, counted under the licence's lock."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from devforge_api.core.db import affected, db, unedited
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.errors import LicenseUserNotFound, UserLimitExceeded
from devforge_api.licenses.models import License, LicenseUser
from devforge_api.licenses.queries import find_license_user, get_license, get_license_user
from devforge_api.licenses.service.limits import Limit
from devforge_api.licenses.service.record import tell
from devforge_api.users import service as users


def add(
    license_id: UUID, *, owner_id: UUID | None, email: str | None = None, user_id: UUID | None = None
) -> tuple[LicenseUser, bool]:
    """Let somebody use a licence; whoever may already is left as they are.

    The user's row is locked before the licence's, as it is where an account is erased.

    :param owner_id: whose licence it must be; None where the caller acts for the team.
    :param email: of an account with a verified address.
    :param user_id: instead of it, for the team: an id must not lead an owner to an address.
    :returns: the entry, and whether it is new.
    :raises LicenseNotFound: unknown, or not the owner's.
    :raises ValidationFailed: no such user, or the owner, or both or no ways of naming them.
    :raises UserLimitExceeded: the licence allows no more.
    """
    get_license(license_id, owner_id=owner_id)
    field, found_id = _named(email, user_id, by_team=owner_id is None)
    user = None if found_id is None else users.find_user(found_id, for_update=True)
    if user is None or not user.email_verified:
        raise ValidationFailed.of(field, "There is no such user with a verified address.", "NOT_FOUND")
    license_ = get_license(license_id, owner_id=owner_id, for_update=True)
    if license_.user_id == user.id:
        raise ValidationFailed.of(field, "The owner uses it anyway.", "IS_OWNER")
    known = find_license_user(license_id, user.id)
    if known is not None:
        return known, False
    limit = user_limit(license_)
    if not limit.admits(1):
        raise UserLimitExceeded(None, max_users=limit.maximum)
    db.session.add(LicenseUser(license_id=license_id, user_id=user.id))
    db.session.flush()
    _count(license_id, 1)
    tell("users_changed", license_id, {"user_id": (None, user.id)})
    return get_license_user(license_id, user.id), True


def remove(license_: License, user_id: UUID) -> None:
    """Take a locked licence from somebody who was added. :raises LicenseUserNotFound: nobody was."""
    if not _drop(license_.id, user_id):
        raise LicenseUserNotFound
    tell("users_changed", license_.id, {"user_id": (user_id, None)})


def forget_owner(license_: License) -> None:
    """Count the new owner of a locked licence once, also where they were added before."""
    if license_.user_id is not None:
        _drop(license_.id, license_.user_id)


def user_limit(license_: License) -> Limit:
    """How many people use a licence, its owner among them, and how many may."""
    own, policy = license_.max_users, license_.policy
    taken = license_.user_count + (license_.user_id is not None)
    return Limit(taken, policy.max_users if own is None else own, policy.overage)


def _named(email: str | None, user_id: UUID | None, *, by_team: bool) -> tuple[str, UUID | None]:
    """By which field somebody was named, and who that is."""
    if (email is None) == (user_id is None):
        raise ValidationFailed.of("email", "Give either email or user_id.", "AMBIGUOUS")
    if email is not None:
        user = users.find_by_email(email)
        return "email", None if user is None else user.id
    if not by_team:
        raise ValidationFailed.of("user_id", "Name people by their address.", "EMAIL_REQUIRED")
    return "user_id", user_id


def _drop(license_id: UUID, user_id: UUID) -> bool:
    gone = delete(LicenseUser).where(LicenseUser.license_id == license_id, LicenseUser.user_id == user_id)
    if affected(gone) != 1:
        return False
    _count(license_id, -1)
    return True


def _count(license_id: UUID, more: int) -> None:
    statement = unedited(License, License.id == license_id, user_count=License.user_count + more)
    db.session.execute(statement.execution_options(synchronize_session="fetch"))
