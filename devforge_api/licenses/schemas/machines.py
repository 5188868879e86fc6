"""Machines on the wire."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.clock import utc_now
from devforge_api.core.schemas import BaseSchema, ResourceSchema
from devforge_api.licenses.models import Machine
from devforge_api.licenses.schemas.shared import FINGERPRINT, SOME_ID

NAME = {"example": "Ada's laptop"}


class ComponentSchema(BaseSchema):
    """A part of a machine, with a fingerprint of its own."""

    name = fields.Text(max=100, required=True, metadata={"example": "board"})
    fingerprint = fields.Filled(required=True, metadata={"example": "9e107d9d372bb6826bd81d3542a419d6"})


class MachineSchema(ResourceSchema):
    """A seat that is taken."""

    license_id = fields.UUID(**SOME_ID)
    fingerprint = fields.Text(**FINGERPRINT)
    name = fields.Text(allow_none=True, metadata=NAME)
    platform = fields.Text(allow_none=True, metadata={"example": "darwin-arm64"})
    cores = fields.Int(allow_none=True, metadata={"example": 8})
    components = fields.List(fields.Nested(ComponentSchema))
    heartbeat_status = fields.Method(
        "show_heartbeat",
        metadata={"type": "string", "enum": ["not_started", "alive", "dead"], "example": "alive"},
    )
    last_heartbeat_at = fields.Timestamp(allow_none=True, metadata={"example": "2026-01-15T09:30:00Z"})
    heartbeat_due_at = fields.Timestamp(
        allow_none=True,
        metadata={
            "description": "Dead from this instant on; null: no heartbeat is waited for.",
            "example": "2026-01-15T09:40:00Z",
        },
    )
    last_seen_at = fields.Timestamp(allow_none=True, metadata={"example": "2026-01-15T09:30:00Z"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})

    def show_heartbeat(self, machine: Machine) -> str:
        """Whether its window is open."""
        if machine.heartbeat_due_at is None:
            return "not_started" if machine.last_heartbeat_at is None else "alive"
        return "alive" if machine.heartbeat_due_at > utc_now() else "dead"


class MachineUpdateSchema(BaseSchema):
    """What can be changed of a machine: how people call it."""

    name = fields.Text(max=100, allow_none=True, metadata=NAME)
