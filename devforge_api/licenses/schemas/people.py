"""Who uses a licence beside its owner, on the wire."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema
from devforge_api.licenses.schemas.shared import SOME_ID


class LicenseUserAddSchema(BaseSchema):
    """Who shall use a licence: exactly one of both."""

    email = fields.Email(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Of an account whose address is verified.",
            "example": "grace@example.com",
        },
    )
    user_id = fields.UUID(
        load_default=None, allow_none=True, metadata={"description": "Instead of email, for the team."}
    )


class LicenseUserSchema(BaseSchema):
    """Somebody who may use a licence beside its owner."""

    user_id = fields.UUID(**SOME_ID)
    email = fields.Email(allow_none=True, metadata={"example": "grace@example.com"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
