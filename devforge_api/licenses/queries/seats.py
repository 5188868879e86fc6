"""What is asked about a licence's machines, beside their list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import License, Machine, MachineComponent, Policy

SHOWN_AT_MOST = 20


def least_recently_seen(license_id: UUID) -> list[Machine]:
    """The machines of a licence, those first that were heard of the longest time ago."""
    statement = (
        select(Machine)
        .where(Machine.license_id == license_id)
        .order_by(func.coalesce(Machine.last_seen_at, Machine.created_at), Machine.id)
        .limit(SHOWN_AT_MOST)
    )
    return list(db.session.scalars(statement))


def has_components(machine_id: UUID) -> bool:
    """Whether a machine ever said what it consists of."""
    statement = select(MachineComponent.machine_id).where(MachineComponent.machine_id == machine_id).limit(1)
    return db.session.scalar(statement) is not None


def is_seated(machine_id: UUID) -> bool:
    """Whether a machine still holds its seat."""
    return db.session.scalar(select(Machine.id).where(Machine.id == machine_id)) is not None


def policies_with_heartbeat() -> Sequence[Policy]:
    """The policies that ask for heartbeats; few."""
    return db.session.scalars(select(Policy).where(Policy.require_heartbeat).order_by(Policy.id)).all()


def machines_due(
    policy_id: UUID, until: datetime, *conditions: ColumnElement[bool], limit: int
) -> list[tuple[UUID, UUID]]:
    """Licence and machine of those of a policy whose heartbeat was due by then, longest ago first."""
    statement: Any = (
        select(Machine.license_id, Machine.id)
        .join(License, License.id == Machine.license_id)
        .where(License.policy_id == policy_id, Machine.heartbeat_due_at <= until, *conditions)
        .order_by(Machine.heartbeat_due_at, Machine.id)
        .limit(limit)
    )
    return [(license_id, machine_id) for license_id, machine_id in db.session.execute(statement)]
