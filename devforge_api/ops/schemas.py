"""How probes answer."""

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema


class HealthSchema(BaseSchema):
    """The process is alive."""

    status = fields.String(required=True, metadata={"example": "ok"})


class CheckSchema(BaseSchema):
    """One part."""

    ok = fields.Bool(required=True, metadata={"example": True})
    detail = fields.String(required=True, metadata={"example": "answers"})


class MaintenanceSchema(BaseSchema):
    """A maintenance under way: reads are served, writes are refused."""

    since = fields.Timestamp(required=True, metadata={"example": "2026-01-15T09:30:00Z"})
    message = fields.String(required=True, allow_none=True, metadata={"example": "Back at 10:00 UTC."})


class ReadySchema(BaseSchema):
    """The parts, by name."""

    status = fields.String(required=True, metadata={"example": "ready"})
    maintenance = fields.Nested(MaintenanceSchema, required=True, allow_none=True, metadata={"example": None})
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(CheckSchema),
        required=True,
        metadata={"example": {"database": {"ok": True, "detail": "answers"}}},
    )
