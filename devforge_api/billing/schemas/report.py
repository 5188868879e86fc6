"""The report on the wire."""

from __future__ import annotations

from devforge_api.billing.schemas.shared import CURRENCY, SOME_ID, Currency, amount, signed_amount
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema


class ReportQuerySchema(BaseSchema):
    """Which days, and which currency."""

    first = fields.Day(
        data_key="from",
        metadata={"description": "The first day, in UTC; default: of this month.", "example": "2026-01-01"},
    )
    last = fields.Day(
        data_key="to",
        metadata={"description": "The last day, included; default: today.", "example": "2026-01-31"},
    )
    currency = Currency(metadata={"description": "Only this one, by ISO 4217."})


class TakingsSchema(BaseSchema):
    """Minor units, as the ledger has them."""

    gross = signed_amount("What was sold.")
    refunds = signed_amount("What was given back; refunds that have failed are taken off.", 0)
    disputes = signed_amount("What banks have taken, less what came back.", 0)
    net = signed_amount("gross less refunds and disputes, before the provider's fees.")


class OfProductSchema(TakingsSchema):
    """Of one product; an order of several is divided in proportion to what its items cost."""

    product_id = fields.UUID(**SOME_ID)
    code = fields.Text(metadata={"example": "dev-forge"})
    name = fields.Text(metadata={"example": "Dev Forge"})


class OfDaySchema(TakingsSchema):
    """Of one day in UTC; days on which nothing moved are left out."""

    day = fields.Day(metadata={"example": "2026-01-15"})


class InCurrencySchema(TakingsSchema):
    """All that was taken in one currency."""

    currency = fields.Text(**CURRENCY)
    orders = fields.Int(metadata={"description": "Paid for the first time.", "example": 1})
    new_subscriptions = fields.Int(metadata={"example": 1})
    ended_subscriptions = fields.Int(metadata={"example": 0})
    active_subscriptions = fields.Int(
        metadata={"description": "Paid for now, whatever days are asked about; trials are not.", "example": 1}
    )
    monthly_recurring_revenue = amount(
        "Of those, now, in minor units; a yearly price counts a twelfth.", 4900
    )
    products = fields.List(fields.Nested(OfProductSchema))
    days = fields.List(fields.Nested(OfDaySchema))


class ReportSchema(BaseSchema):
    """What was sold, and what of it stayed."""

    first = fields.Day(data_key="from", metadata={"example": "2026-01-01"})
    last = fields.Day(data_key="to", metadata={"example": "2026-01-31"})
    currencies = fields.List(fields.Nested(InCurrencySchema))
