"""What can be read about users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select

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
        "name": User.name,
        "role": User.role,
        "status": User.status,
        "created_at": User.created_at,
        "last_login": User.last_login,
    },
    sorts={"created_at": User.created_at, "email": User.email, "last_login": User.last_login},
    # Staff search by hand, and rarely: reading every row is soon done (docs/administration.md), while
    # an index of trigrams is an extension of PostgreSQL, and SQLite has none.
    contains=("email", "name"),
    present={"email_verified": User.email_verified_at},
)


def users() -> Select[User]:
    """Every user."""
    return select(User)


def search(text: str) -> ColumnElement[bool]:
    """Users whose address or name holds the text, in whatever case."""
    return or_(User.email_key.contains(text, autoescape=True), User.name.icontains(text, autoescape=True))


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
    terms_version: str | None
    terms_accepted_at: datetime | None
    last_login: datetime | None
    created_at: datetime
    updated_at: datetime


_ACCOUNT = Prepared(
    select(
        User.id, User.email, User.email_verified_at.is_not(None), User.name, User.avatar_url,
        User.locale, User.role, User.status, User.terms_version, User.terms_accepted_at,
        User.last_login, User.created_at, User.updated_at,
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


def find_user(user_id: UUID, *, for_update: bool = False) -> User | None:
    """One user; None where unknown, or deleted meanwhile.

    :param for_update: lock the row until commit.
    """
    return db.session.get(User, user_id, with_for_update=True if for_update else None)


def get_user(user_id: UUID, *, for_update: bool = False) -> User:
    """One user, as `find_user`.

    :raises UserNotFound: unknown, or deleted meanwhile.
    """
    user = find_user(user_id, for_update=for_update)
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


def lock_against_removal(email: str) -> UUID | None:
    """The id of the user with this address, who will not be deleted before this transaction ends.

    Others may lock the row likewise at the same time.
    """
    statement = select(User.id).where(User.email_key == email).with_for_update(read=True, key_share=True)
    return db.session.scalar(statement)


def find_by_email(email: str) -> User | None:
    """The user with this address, however it is written."""
    return db.session.scalar(select(User).where(User.email_key == email))
