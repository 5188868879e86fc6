"""What is asked about a licence's machines, beside their list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.licenses.models import Machine

SHOWN_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What people know a machine by."""

    machine_id: UUID
    name: str | None
    platform: str | None
    last_seen_at: datetime | None


def least_recently_seen(license_id: UUID) -> list[Seen]:
    """The machines that could go, the likeliest first."""
    statement = (
        select(Machine.id, Machine.name, Machine.platform, Machine.last_seen_at)
        .where(Machine.license_id == license_id)
        .order_by(Machine.last_seen_at.is_not(None), Machine.last_seen_at, Machine.id)
        .limit(SHOWN_AT_MOST)
    )
    return [Seen(*row) for row in db.session.execute(statement)]
