"""How an audit event looks on the wire."""

from devforge_api.audit.models import ActorKind
from devforge_api.core import fields
from devforge_api.core.schemas import ResourceSchema


class AuditEventSchema(ResourceSchema):
    """One deed."""

    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
    actor_kind = fields.Enum(ActorKind, by_value=True, metadata={"example": "user"})
    actor_id = fields.UUID(allow_none=True, metadata={"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"})
    token_id = fields.UUID(
        allow_none=True,
        metadata={"description": "Of the personal access token that the actor used.", "example": None},
    )
    action = fields.Text(metadata={"example": "license.suspended"})
    target_type = fields.Text(metadata={"example": "license"})
    target_id = fields.UUID(allow_none=True, metadata={"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"})
    request_id = fields.Text(metadata={"example": "0199f0a07c1e7a548d3f6f1f3d1b2c4d"})
    address = fields.Text(allow_none=True, metadata={"example": "203.0.113.7"})
    user_agent = fields.Text(allow_none=True, metadata={"example": "DevForge/1.4"})
    changes = fields.Dict(
        keys=fields.Text(),
        metadata={
            "description": "Field → [before, after].",
            "example": {"status": ["active", "suspended"]},
        },
    )
