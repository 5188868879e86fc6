"""Prices on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from devforge_api.billing.models import Interval
from devforge_api.billing.models.currencies import CURRENCIES
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema

ID: Any = {"metadata": {"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}}
# Twenty items of a hundred pieces each stay below 2**53, which JavaScript reads exactly.
MAX_AMOUNT = 10**12


class Currency(fields.Text):
    """A code of ISO 4217 in whatever case, kept in capitals."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": "^[A-Za-z]{3}$", "example": "USD", **kwargs.pop("metadata", {})}
        super().__init__(min=3, max=3, metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        # By ASCII: other letters may have these as their capitals.
        if not code.isascii() or code.upper() not in CURRENCIES:
            raise ValidationError("Not a currency of ISO 4217.")
        return str(code.upper())


class PriceSchema(EditableSchema):
    """What a policy costs. Policy, amount, currency and interval never change."""

    policy_id = fields.UUID(required=True, **ID)
    product_id = fields.UUID(dump_only=True, **ID)
    name = fields.Filled(
        max=100,
        load_default=None,
        metadata={"description": "As receipts show it; default: the policy's.", "example": "Dev Forge Pro"},
    )
    amount = fields.Int(
        min=1,
        max=MAX_AMOUNT,
        required=True,
        metadata={"description": "Of one licence, in minor units such as cents.", "example": 5900},
    )
    currency = Currency(required=True)
    interval = fields.Enum(
        Interval,
        by_value=True,
        required=True,
        metadata={"description": "How often it is paid.", "example": "one_time"},
    )
    trial_days = fields.Int(
        min=1,
        max=730,
        allow_none=True,
        load_default=None,
        metadata={"description": "Before the first payment, of a recurring price.", "example": None},
    )
    active = fields.Bool(load_default=True, metadata={"description": "On sale.", "example": True})
    metadata = fields.JsonObject(
        load_default=dict,
        attribute="metadata_",
        metadata={"description": "Your own JSON, up to 16 KiB.", "example": {}},
    )


class OfferedPriceSchema(ResourceSchema):
    """A price on sale, and what is bought at it."""

    policy_id = fields.UUID(**ID)
    name = fields.Text(metadata={"example": "Dev Forge Pro"})
    amount = fields.Int(metadata={"description": "Of one licence, in minor units.", "example": 5900})
    currency = Currency()
    interval = fields.Enum(Interval, by_value=True, metadata={"example": "one_time"})
    trial_days = fields.Int(allow_none=True, metadata={"example": None})
    entitlements = fields.List(fields.Code(), metadata={"example": ["cloud-sync"]})
    max_machines = fields.Int(
        allow_none=True, metadata={"description": "Seats; null: unlimited.", "example": 3}
    )


class OfferedProductSchema(ResourceSchema):
    """A product with its prices, in the order in which they were made."""

    code = fields.Code(metadata={"example": "dev-forge"})
    name = fields.Text(metadata={"example": "Dev Forge"})
    prices = fields.List(fields.Nested(OfferedPriceSchema))


PricingQuerySchema = BaseSchema.from_dict(
    {
        "currency": Currency(metadata={"description": "Only prices in this one."}),
        "fields": fields.Text(max=1000, metadata={"description": "Comma-separated names: trims the items."}),
    },
    name="PricingQuerySchema",
)
