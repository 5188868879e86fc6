"""Licences on the wire, for their owners and for the team."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.licenses.models import License, LicenseStatus
from devforge_api.licenses.schemas.shared import KEY, METADATA, OWN_JSON, SOME_ID


class LicenseUpdateSchema(BaseSchema):
    """What can be changed of a licence; policy and owner change by a transfer."""

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
    pending = fields.Bool(
        load_default=False,
        metadata={
            "description": "Its order waits: it answers PENDING until it is fulfilled.",
            "example": False,
        },
    )


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
