"""What providers call the users."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from devforge_api.billing.models import Customer
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, insert_into


def reference_of(user_id: UUID, provider: str) -> str | None:
    """What a provider calls a user; None: it does not know them."""
    mine = (Customer.user_id == user_id, Customer.provider == provider)
    return db.session.scalar(select(Customer.reference).where(*mine))


def remember(user_id: UUID | None, provider: str, reference: str) -> None:
    """Keep what a provider calls a user, unless a name is known: an old order may tell a former one."""
    if user_id is not None:
        db.session.execute(_named(user_id, provider, reference).on_conflict_do_nothing())


def rename(user_id: UUID | None, provider: str, reference: str) -> None:
    """Keep what a provider calls a user from now on."""
    if user_id is not None:
        named = _named(user_id, provider, reference)
        key = [Customer.user_id, Customer.provider]
        db.session.execute(named.on_conflict_do_update(index_elements=key, set_={"reference": reference}))


def _named(user_id: UUID, provider: str, reference: str) -> postgresql.Insert | sqlite.Insert:
    row = {"user_id": user_id, "provider": provider, "reference": reference, "created_at": utc_now()}
    return insert_into(Customer).values(row)
