"""The outbox as its operator sees it: how far it is behind, what was set aside, what may go."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import current_app
from sqlalchemy import ColumnElement, and_, delete, func, select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db
from devforge_api.core.outbox import OutboxRow, OutboxStatus


def lag() -> timedelta:
    """How long the oldest due row has been waiting."""
    now = utc_now()
    oldest = db.session.scalar(
        select(func.min(OutboxRow.next_attempt_at)).where(OutboxRow.status == OutboxStatus.PENDING)
    )
    return max(now - oldest, timedelta(0)) if oldest else timedelta(0)


def replay(row_ids: list[UUID] | None = None) -> int:
    """Make dead rows due again; all of them without ids. Returns how many."""
    statement = update(OutboxRow).where(OutboxRow.status == OutboxStatus.DEAD)
    if row_ids is not None:
        statement = statement.where(OutboxRow.id.in_(row_ids))
    values = {"status": OutboxStatus.PENDING, "attempts": 0, "next_attempt_at": utc_now()}
    return affected(statement.values(**values))


def is_purgeable() -> ColumnElement[bool]:
    """The rows that were delivered longer ago than they are kept."""
    before = utc_now() - current_app.config["OUTBOX_KEEP_DELIVERED"]
    return and_(OutboxRow.status == OutboxStatus.DELIVERED, OutboxRow.delivered_at < before)


def purge_delivered() -> int:
    """Delete what is purgeable. Returns how many rows."""
    return affected(delete(OutboxRow).where(is_purgeable()))
