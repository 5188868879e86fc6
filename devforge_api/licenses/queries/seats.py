"""What is asked about a licence's machines, beside their list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from devforge_api.core.db import db
from devforge_api.licenses.models import License, Machine, MachineComponent, Policy

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


def has_components(machine_id: UUID) -> bool:
    """Whether a machine ever said what it consists of."""
    statement = select(MachineComponent.machine_id).where(MachineComponent.machine_id == machine_id).limit(1)
    return db.session.scalar(statement) is not None


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
