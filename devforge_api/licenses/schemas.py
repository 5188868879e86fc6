"""How licences look on the wire."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validate

from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema
from devforge_api.licenses.models import License, LicenseStatus

SOME_ID: Any = {"metadata": {"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}}
OWN_JSON: Any = {
    "load_default": dict,
    "metadata": {"description": "Your own JSON, up to 16 KiB.", "example": {"crm_id": "4711"}},
}
METADATA: Any = {**OWN_JSON, "attribute": "metadata_"}
KEY: Any = {"metadata": {"example": "DF-4T0WX-9K2PM-7HQ3Z-B6NCE-1YRVD8"}}
FINGERPRINT: Any = {
    "metadata": {
        "description": "A stable, hashed id of the machine.",
        "example": "5f2b9c0e7d41a8836a1f0c55e2d94b7c",
    }
}


class ProductSchema(EditableSchema):
    """Something that is sold."""

    name = fields.Text(max=100, required=True, metadata={"example": "Dev Forge"})
    code = fields.Code(required=True, metadata={"example": "dev-forge"})
    metadata = fields.JsonObject(**METADATA)


class EntitlementSchema(EditableSchema):
    """A feature that a policy may include."""

    name = fields.Text(max=100, required=True, metadata={"example": "Cloud sync"})
    code = fields.Code(required=True, metadata={"example": "cloud-sync"})
    metadata = fields.JsonObject(**METADATA)


class PolicySchema(EditableSchema):
    """A plan of a product; its name is its licences' tier."""

    product_id = fields.UUID(required=True, **SOME_ID)
    name = fields.Text(max=100, required=True, metadata={"example": "pro"})
    max_machines = fields.Int(
        min=1,
        max=1_000_000,
        required=True,
        allow_none=True,
        metadata={"description": "Seats; null: unlimited.", "example": 3},
    )
    floating = fields.Bool(
        load_default=False,
        metadata={"description": "Seats move between machines freely.", "example": True},
    )
    strict = fields.Bool(
        load_default=False,
        metadata={"description": "Only valid with at least one machine.", "example": False},
    )
    duration_days = fields.Int(
        min=1,
        max=36_500,
        allow_none=True,
        load_default=None,
        metadata={"description": "Null: perpetual.", "example": 365},
    )
    entitlements = fields.List(
        fields.Code(),
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "Codes.", "example": ["cloud-sync"]},
    )
    metadata = fields.JsonObject(**METADATA)


class LicenseUpdateSchema(BaseSchema):
    """What can be changed of a licence."""

    policy_id = fields.UUID(required=True, **SOME_ID)
    user_id = fields.UUID(allow_none=True, load_default=None, **SOME_ID)
    expires_at = fields.Timestamp(
        allow_none=True, load_default=None, metadata={"example": "2027-01-15T09:30:00Z"}
    )
    metadata = fields.JsonObject(**METADATA)


class LicenseCreateSchema(BaseSchema):
    """A licence to issue; its owner by id, or by address."""

    policy_id = fields.UUID(required=True, **SOME_ID)
    user_id = fields.UUID(load_default=None, allow_none=True)
    email = fields.Email(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Instead of user_id; the licence waits for a verified account.",
            "example": "ada@example.com",
        },
    )
    expires_at = fields.Timestamp(
        load_default=None,
        allow_none=True,
        metadata={"description": "Default: by the policy's duration.", "example": "2027-01-15T09:30:00Z"},
    )
    metadata = fields.JsonObject(**OWN_JSON)


class LicenseSchema(EditableSchema):
    """A customer's copy of a policy."""

    key = fields.Method("show_key", metadata={"type": "string", **KEY["metadata"]})
    status = fields.Enum(LicenseStatus, by_value=True, metadata={"example": "active"})
    tier = fields.Text(attribute="policy.name", metadata={"example": "pro"})
    product_id = fields.UUID(**SOME_ID)
    product = fields.Text(attribute="policy.product.code", metadata={"example": "dev-forge"})
    policy_id = fields.UUID(**SOME_ID)
    user_id = fields.UUID(allow_none=True, **SOME_ID)
    expires_at = fields.Timestamp(allow_none=True, metadata={"example": "2027-01-15T09:30:00Z"})
    max_machines = fields.Int(attribute="policy.max_machines", allow_none=True, metadata={"example": 3})
    machine_count = fields.Int(metadata={"example": 1})
    entitlements = fields.List(
        fields.Code(), attribute="policy.entitlements", metadata={"example": ["cloud-sync"]}
    )
    metadata = fields.JsonObject(**METADATA)

    def show_key(self, license_: License) -> str:
        """In full for its owner and for whoever may issue licences; else enough to tell two apart."""
        caller = principal()
        if license_.user_id == caller.user_id or "licenses:write" in caller.scopes:
            return license_.key
        return f"DF-…-{license_.key[-6:]}"


class RenewSchema(BaseSchema):
    """How far the expiry moves."""

    duration_days = fields.Int(
        min=1,
        max=36_500,
        load_default=None,
        allow_none=True,
        metadata={"description": "Default: the policy's.", "example": 365},
    )


class KeyField(fields.Text):
    """A licence key as it was typed: anything that is not blank, up to 512 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max=512, required=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not text.strip():
            raise ValidationError("Must not be blank.")
        return text


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


class ActivateSchema(BaseSchema):
    """A machine that wants a seat."""

    key = KeyField(**KEY)
    fingerprint = fields.Text(required=True, **FINGERPRINT)
    name = fields.Text(max=100, load_default=None, allow_none=True, metadata={"example": "Ada's laptop"})
    platform = fields.Text(max=50, load_default=None, allow_none=True, metadata={"example": "darwin-arm64"})
    product = fields.Text(
        max=64,
        load_default=None,
        allow_none=True,
        metadata={"description": "Code or id.", "example": "dev-forge"},
    )


class DeactivateSchema(BaseSchema):
    """A machine that gives its seat back."""

    key = KeyField(**KEY)
    fingerprint = fields.Text(required=True, **FINGERPRINT)


class MachineSchema(ResourceSchema):
    """A seat that is taken."""

    license_id = fields.UUID(**SOME_ID)
    fingerprint = fields.Text(**FINGERPRINT)
    name = fields.Text(allow_none=True, metadata={"example": "Ada's laptop"})
    platform = fields.Text(allow_none=True, metadata={"example": "darwin-arm64"})
    created_at = fields.Timestamp(metadata={"example": "2026-01-15T09:30:00Z"})
