"""What providers call the users."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from devforge_api.billing.models import Customer
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db


def reference_of(user_id: UUID, provider: str) -> str | None:
    """What a provider calls a user; None: it does not know them."""
    mine = (Customer.user_id == user_id, Customer.provider == provider)
    return db.session.scalar(select(Customer.reference).where(*mine))


def remember(user_id: UUID | None, provider: str, reference: str) -> None:
    """Keep what a provider calls a user from now on; the first name stays."""
    if user_id is None:
        return
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    row = {"user_id": user_id, "provider": provider, "reference": reference, "created_at": utc_now()}
    db.session.execute(insert(Customer).values(row).on_conflict_do_nothing())
