"""Licences on the wire, for their owners and for the team."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.licenses.models import License, LicenseStatus, Overage
from devforge_api.licenses.schemas.shared import KEY, METADATA, OWN_JSON, SOME_ID, masked_key


def _own_limit(of_what: str, example: int | None) -> fields.Int:
    """A limit that a licence has in place of its policy's."""
    description = f"Its own limit of {of_what}; null: the policy's."
    return fields.Int(
        min=1,
        max=1_000_000_000,
        allow_none=True,
        load_default=None,
        metadata={"description": description, "example": example},
    )


class OwnLimitsSchema(BaseSchema):
    """Limits of one licence, in place of its policy's."""

    max_machines = _own_limit("machines", 5)
    max_cores = _own_limit("cores, of all machines together", None)
    max_users = _own_limit("users, the owner among them", None)
    max_uses = _own_limit("uses", None)


class LicenseUpdateSchema(OwnLimitsSchema):
    """What can be changed of a licence; policy and owner change by a transfer."""

    expires_at = fields.Timestamp(
        allow_none=True, load_default=None, metadata={"example": "2027-01-15T09:30:00Z"}
    )
    metadata = fields.JsonObject(**METADATA)


class LicenseCreateSchema(OwnLimitsSchema):
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


class TrialSchema(BaseSchema):
    """Which trial to start."""

    policy_id = fields.UUID(required=True, **SOME_ID)


class LimitSchema(BaseSchema):
    """How much of something is taken, and how much may be."""

    taken = fields.Int(metadata={"example": 1})
    max = fields.Int(allow_none=True, metadata={"description": "In force; null: none.", "example": 3})
    own = fields.Bool(
        metadata={"description": "The licence's own, in place of the policy's.", "example": False}
    )
    overage = fields.Enum(
        Overage,
        by_value=True,
        metadata={"description": "How far more is tolerated.", "example": "none"},
    )


class LimitsSchema(BaseSchema):
    """Every limit of a licence."""

    machines = fields.Nested(LimitSchema)
    cores = fields.Nested(LimitSchema)
    users = fields.Nested(LimitSchema)
    uses = fields.Nested(LimitSchema)


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
    max_machines = fields.Int(
        attribute="limits.machines.max",
        allow_none=True,
        metadata={"description": "In force: its own, or its policy's.", "example": 3},
    )
    machine_count = fields.Int(metadata={"example": 1})
    limits = fields.Nested(LimitsSchema)
    entitlements = fields.List(
        fields.Code(),
        metadata={"description": "Its policy's, and its own at present.", "example": ["cloud-sync"]},
    )
    metadata = fields.JsonObject(**METADATA)

    def show_key(self, license_: License) -> str:
        """In full for who owns or uses it and for who may issue it; else enough to tell two apart."""
        caller = principal()
        # Who may not see everybody's licences sees this one because they own or use it.
        theirs = license_.user_id == caller.user_id or "licenses:read_all" not in caller.scopes
        if theirs or "licenses:write" in caller.scopes:
            return license_.key
        return masked_key(license_.key)
