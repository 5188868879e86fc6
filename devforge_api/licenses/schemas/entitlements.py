"""A licence's own entitlements on the wire."""

from __future__ import annotations

from marshmallow import validate

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema


class OwnEntitlementSchema(BaseSchema):
    """A feature that a licence has beside its policy's."""

    code = fields.Code(required=True, metadata={"example": "priority-support"})
    expires_at = fields.Timestamp(
        allow_none=True,
        load_default=None,
        metadata={"description": "Not included from then on; null: for good.", "example": None},
    )


class OwnEntitlementsSchema(BaseSchema):
    """All of them."""

    entitlements = fields.List(
        fields.Nested(OwnEntitlementSchema), required=True, validate=validate.Length(max=100)
    )
