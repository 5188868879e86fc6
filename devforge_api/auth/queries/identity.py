"""What can be read about accounts elsewhere."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, select

from devforge_api.auth.errors import (
    IdentityNotFound,
)
from devforge_api.auth.models import (
    Identity,
)
from devforge_api.core.db import db
from devforge_api.core.listing import Listing

IDENTITIES = Listing(
    "IdentityQuery",
    key=Identity.id,
    filters={"created_at": Identity.created_at},
    sorts={"created_at": Identity.created_at},
)


def identities(user_id: UUID) -> Select[Identity]:
    """The accounts elsewhere by which the user signs in."""
    return select(Identity).where(Identity.user_id == user_id)


def get_identity(identity_id: UUID, *, user_id: UUID) -> Identity:
    """One of the user's identities.

    :raises IdentityNotFound: unknown, or another's.
    """
    found = db.session.scalar(identities(user_id).where(Identity.id == identity_id))
    if found is None:
        raise IdentityNotFound
    return found


def find_identity(provider: str, subject: str) -> Identity | None:
    """A provider's user, if that one signs in here."""
    return db.session.scalar(
        select(Identity)
        .where(Identity.provider == provider, Identity.subject == subject)
        .execution_options(populate_existing=True)  # another transaction may have been faster
    )
