"""Prices on the wire."""

from __future__ import annotations

from devforge_api.billing.models import Interval
from devforge_api.billing.schemas.shared import SOME_ID, Currency
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema

# Twenty items of a hundred pieces each stay below 2**53, which JavaScript reads exactly.
MAX_AMOUNT = 10**12


class PriceSchema(EditableSchema):
    """What a policy costs. Policy, amount, currency and interval never change."""

    policy_id = fields.UUID(required=True, **SOME_ID)
    product_id = fields.UUID(dump_only=True, **SOME_ID)
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

    policy_id = fields.UUID(**SOME_ID)
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
