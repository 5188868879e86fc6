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


class ReadySchema(BaseSchema):
    """The parts, by name."""

    status = fields.String(required=True, metadata={"example": "ready"})
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(CheckSchema),
        required=True,
        metadata={"example": {"database": {"ok": True, "detail": "answers"}}},
    )
