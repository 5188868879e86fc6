"""Products, entitlements and policies on the wire."""

from __future__ import annotations

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import EditableSchema
from devforge_api.licenses.schemas.shared import METADATA, SOME_ID


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
