"""What an app sends and reads with nothing but a key."""

from __future__ import annotations

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema
from devforge_api.licenses.models import LicenseStatus
from devforge_api.licenses.schemas.shared import FINGERPRINT, KEY, SOME_ID, KeyField


class ValidateSchema(BaseSchema):
    """A key, and what it shall be valid for."""

    key = KeyField(**KEY)
    fingerprint = fields.Text(**FINGERPRINT)
    fingerprints = fields.List(
        fields.Text(),
        validate=validate.Length(max=20),
        metadata={"description": "Instead of fingerprint: any of them."},
    )
    product = fields.Text(max=64, metadata={"description": "Code or id.", "example": "dev-forge"})
    policy_id = fields.UUID()
    user_id = fields.UUID()
    entitlements = fields.List(
        fields.Text(max=64),
        validate=validate.Length(max=100),
        metadata={"description": "Codes, all of which must be included.", "example": ["cloud-sync"]},
    )
    nonce = fields.Text(max=256, metadata={"description": "Comes back as it is.", "example": "n-0S6_WzA2Mj"})


class VerdictLicenseSchema(BaseSchema):
    """The licence that a verdict is about."""

    id = fields.UUID(attribute="license_id", **SOME_ID)
    status = fields.Enum(LicenseStatus, by_value=True, metadata={"example": "active"})
    tier = fields.Text(metadata={"example": "pro"})
    product_id = fields.UUID(**SOME_ID)
    product = fields.Text(attribute="product_code", metadata={"example": "dev-forge"})
    policy_id = fields.UUID(**SOME_ID)
    expires_at = fields.Timestamp(allow_none=True, metadata={"example": "2027-01-15T09:30:00Z"})
    max_machines = fields.Int(allow_none=True, metadata={"example": 3})
    machine_count = fields.Int(metadata={"example": 1})
    entitlements = fields.List(fields.Code(), metadata={"example": ["cloud-sync"]})
    metadata = fields.JsonObject()


class VerdictSchema(BaseSchema):
    """What a licence answers."""

    valid = fields.Bool(metadata={"example": True})
    code = fields.Text(metadata={"example": "VALID"})
    detail = fields.Text(metadata={"example": "The licence is valid."})
    license = fields.Nested(VerdictLicenseSchema, attribute="facts", allow_none=True)
    nonce = fields.Text(metadata={"example": "n-0S6_WzA2Mj"})
    ts = fields.Timestamp(metadata={"description": "Server time.", "example": "2026-01-15T09:30:00Z"})
