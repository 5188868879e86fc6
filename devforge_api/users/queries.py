"""What can be read about users."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, select

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.users.errors import UserNotFound
from devforge_api.users.models import User, email_key

USERS = Listing(
    "UserQuery",
    key=User.id,
    filters={
        "email": User.email,
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


def get_user(user_id: UUID, *, for_update: bool = False) -> User:
    """One user.

    :param for_update: lock the row until commit.
    :raises UserNotFound: unknown, or deleted meanwhile.
    """
    user = db.session.get(User, user_id, with_for_update=True if for_update else None)
    if user is None:
        raise UserNotFound
    return user


def find_by_email(email: str) -> User | None:
    """The user with this address, however it is written."""
    return db.session.scalar(select(User).where(User.email_key == email_key(email)))
