"""Payments, refunds, invoices, the ledger and the inbox on the wire."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devforge_api.billing.models import (
    Account,
    EventOutcome,
    InvoiceKind,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from devforge_api.billing.schemas.shared import (
    CURRENCY,
    NO_MOMENT,
    PROVIDER,
    SOME_ID,
    SOME_MOMENT,
    ReasonField,
    amount,
    signed_amount,
)
from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, EditableSchema, ResourceSchema

FAILURE: Any = {"allow_none": True, "metadata": {"description": "The provider's words.", "example": None}}


class PaymentSchema(EditableSchema):
    """Money for an order: once, or for one period of its subscription."""

    order_id = fields.UUID(**SOME_ID)
    status = fields.Enum(PaymentStatus, by_value=True, metadata={"example": "paid"})
    amount = amount()
    currency = fields.Text(**CURRENCY)
    provider = fields.Text(**PROVIDER)
    charge_reference = fields.Text(
        allow_none=True,
        metadata={"description": "What the provider calls it.", "example": "pi_3QK1example"},
    )
    failure = fields.Text(max=None, **FAILURE)
    period_start = fields.Timestamp(**NO_MOMENT)
    period_end = fields.Timestamp(**NO_MOMENT)
    paid_at = fields.Timestamp(**SOME_MOMENT, allow_none=True)


class RefundRequestSchema(BaseSchema):
    """What is to be given back."""

    amount = fields.Int(
        min=1,
        load_default=None,
        allow_none=True,
        metadata={"description": "In minor units; default: all that is left of the payment.", "example": 500},
    )
    payment_id = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "Default: the order's newest paid payment.", "example": None},
    )
    reason = ReasonField(required=True)


class RefundSchema(EditableSchema):
    """Money that goes back."""

    order_id = fields.UUID(attribute="payment.order_id", **SOME_ID)
    payment_id = fields.UUID(**SOME_ID)
    status = fields.Enum(
        RefundStatus,
        by_value=True,
        metadata={
            "description": "`requested`: the provider may not know yet. A succeeded one can still fail.",
            "example": "succeeded",
        },
    )
    amount = amount()
    currency = fields.Text(attribute="payment.currency", **CURRENCY)
    provider = fields.Text(**PROVIDER)
    reason = fields.Text(max=None, allow_none=True, metadata={"example": "Bought twice by mistake."})
    requested_by = fields.Method(
        "show_requester",
        metadata={
            "type": ["string", "null"],
            "format": "uuid",
            "description": "Told to staff alone. Null: asked for at the provider, or by command.",
            "example": None,
        },
    )
    failure = fields.Text(max=None, **FAILURE)
    succeeded_at = fields.Timestamp(**SOME_MOMENT, allow_none=True)

    def show_requester(self, refund: Refund) -> UUID | None:
        """Ids of the team are not for its customers."""
        return refund.requested_by if "billing:read_all" in principal().scopes else None


class InvoiceLineSchema(BaseSchema):
    """A line of an invoice."""

    description = fields.Text(max=None, metadata={"example": "Dev Forge Pro"})
    quantity = fields.Int(metadata={"example": 1})
    unit_amount = amount("For one, in minor units.")
    amount = amount("For all, in minor units.")


class InvoiceSchema(ResourceSchema):
    """Our document of a payment, or of a refund."""

    number = fields.Int(metadata={"description": "1, 2, 3 … without gaps, of both kinds.", "example": 123})
    printed_number = fields.Text(
        metadata={"description": "As documents show it: year of issue and number.", "example": "2026-000123"}
    )
    kind = fields.Enum(
        InvoiceKind,
        by_value=True,
        metadata={"description": "A credit note takes back what was paid.", "example": "invoice"},
    )
    source_id = fields.UUID(
        metadata={"description": "Of the payment, or of the refund.", **SOME_ID["metadata"]}
    )
    order_id = fields.UUID(**SOME_ID)
    user_id = fields.UUID(**SOME_ID, allow_none=True)
    amount = amount("In minor units; a credit note's is positive as well.")
    currency = fields.Text(**CURRENCY)
    lines = fields.List(fields.Nested(InvoiceLineSchema))
    issued_at = fields.Timestamp(**SOME_MOMENT)


class LedgerLineSchema(ResourceSchema):
    """One side of a movement of money."""

    posting = fields.Text(
        metadata={
            "description": "What moved; the lines of a posting sum to zero.",
            "example": "payment:0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d",
        }
    )
    account = fields.Enum(Account, by_value=True, metadata={"example": "provider"})
    amount = signed_amount("In minor units; what comes to an account is positive.")
    currency = fields.Text(**CURRENCY)
    order_id = fields.UUID(**SOME_ID)
    event_id = fields.Text(
        allow_none=True,
        metadata={"description": "The provider's event that told of it.", "example": "evt_1QK1example"},
    )
    created_at = fields.Timestamp(**SOME_MOMENT)


class ProviderEventSchema(ResourceSchema):
    """What a provider has told, without what it said."""

    provider = fields.Text(**PROVIDER)
    event_id = fields.Text(metadata={"description": "The provider's.", "example": "evt_1QK1example"})
    kind = fields.Text(metadata={"description": "In the provider's words.", "example": "invoice.paid"})
    outcome = fields.Enum(EventOutcome, by_value=True, metadata={"example": "settled"})
    order_id = fields.UUID(**SOME_ID, allow_none=True)
    received_at = fields.Timestamp(**SOME_MOMENT)
    handled_at = fields.Timestamp(**SOME_MOMENT, allow_none=True)
