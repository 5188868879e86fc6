"""Machines on the wire."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.schemas import ResourceSchema
from devforge_api.licenses.schemas.shared import FINGERPRINT, SOME_ID


class MachineSchema(ResourceSchema):
    """A seat that is taken."""

    license_id = fields.UUID(**SOME_ID)
    fingerprint = fields.Text(**FINGERPRINT)
    name = fields.Text(allow_none=True, metadata={"example": "Ada's laptop"})
    platform = fields.Text(allow_none=True, metadata={"example": "darwin-arm64"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
