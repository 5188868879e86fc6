"""Subscriptions on the wire."""

from __future__ import annotations

from devforge_api.billing.models import SubscriptionStatus
from devforge_api.billing.schemas.shared import NO_MOMENT, PROVIDER, SOME_ID
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, EditableSchema


class SubscriptionSchema(EditableSchema):
    """What keeps an order's licences going."""

    order_id = fields.UUID(**SOME_ID)
    user_id = fields.UUID(**SOME_ID, allow_none=True)
    status = fields.Enum(SubscriptionStatus, by_value=True, metadata={"example": "active"})
    provider = fields.Text(**PROVIDER)
    current_period_end = fields.Timestamp(metadata={"example": "2026-02-15T09:30:00Z"})
    cancel_at_period_end = fields.Bool(
        metadata={"description": "It ends when what is paid for is over.", "example": False}
    )
    ended_at = fields.Timestamp(**NO_MOMENT)
    grace_ends_at = fields.Timestamp(
        allow_none=True,
        metadata={"description": "A payment has failed: until then its licences work on.", "example": None},
    )


class SubscriptionChangeSchema(BaseSchema):
    """Which price an item of a subscription moves to."""

    price_id = fields.UUID(required=True, **SOME_ID)
    item = fields.Int(
        max=99,
        load_default=None,
        allow_none=True,
        metadata={"description": "Its position in the order; default: the only one.", "example": 0},
    )


class SubscriptionCancelSchema(BaseSchema):
    """When a subscription is to end."""

    at_period_end = fields.Bool(
        load_default=True,
        metadata={"description": "false, which ends it now, is for the team.", "example": True},
    )
