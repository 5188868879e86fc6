"""What can be read about users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, or_, select

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.core.statements import Prepared
from devforge_api.users.errors import UserNotFound
from devforge_api.users.models import Role, User, UserStatus

USERS = Listing(
    "UserQuery",
    key=User.id,
    filters={
        "email": User.email_key,
        "role": User.role,
        "status": User.status,
        "created_at": User.created_at,
        "last_login": User.last_login,
    },
    sorts={"created_at": User.created_at, "email": User.email, "last_login": User.last_login},
)


def users() -> Select[User]:
    """Every user."""
    return select(User)


@dataclass(frozen=True, slots=True)
class Account:
    """What is shown of a user."""

    id: UUID
    email: str
    email_verified: bool
    name: str | None
    avatar_url: str | None
    locale: str | None
    role: Role
    status: UserStatus
    last_login: datetime | None
    created_at: datetime
    updated_at: datetime


_ACCOUNT = Prepared(
    select(
        User.id, User.email, User.email_verified_at.is_not(None), User.name, User.avatar_url,
        User.locale, User.role, User.status, User.last_login, User.created_at, User.updated_at,
    ).where(User.id == bindparam("user_id")),
    Account,
)  # fmt: skip


def get_account(user_id: UUID) -> Account:
    """What is shown of one user.

    :raises UserNotFound: unknown, or deleted meanwhile.
    """
    account = _ACCOUNT.first(user_id=user_id)
    if account is None:
        raise UserNotFound
    return account


def get_user(user_id: UUID, *, for_update: bool = False) -> User:
    """One user.

    :param for_update: lock the row until commit.
    :raises UserNotFound: unknown, or deleted meanwhile.
    """
    user = db.session.get(User, user_id, with_for_update=True if for_update else None)
    if user is None:
        raise UserNotFound
    return user


def get_user_beside_admins(user_id: UUID) -> User:
    """One user, locked until commit together with the active admins.

    For what might take the last admin away. All are locked in the order of their ids, so that two
    admins who remove each other wait in line, instead of each holding what the other needs.

    :raises UserNotFound: unknown, or deleted meanwhile.
    """
    active_admin = and_(User.role == Role.ADMIN, User.status == UserStatus.ACTIVE)
    together = select(User.id).where(or_(User.id == user_id, active_admin)).order_by(User.id)
    db.session.scalars(together.with_for_update()).all()
    return get_user(user_id, for_update=True)


def find_by_email(email: str) -> User | None:
    """The user with this address, however it is written."""
    return db.session.scalar(select(User).where(User.email_key == email))
