"""Checkouts on the wire."""

from __future__ import annotations

from marshmallow import validate

from devforge_api.billing.models import OrderStatus
from devforge_api.billing.schemas.shared import SOME_ID
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema, ResourceSchema

MAX_ITEMS, MAX_QUANTITY = 20, 100


class CheckoutItemSchema(BaseSchema):
    """Licences at one price."""

    price_id = fields.UUID(required=True, **SOME_ID)
    quantity = fields.Int(
        min=1,
        max=MAX_QUANTITY,
        load_default=1,
        metadata={"description": "How many licences.", "example": 1},
    )


def _address(description: str, example: str) -> fields.Text:
    return fields.Text(max=2000, load_default=None, metadata={"description": description, "example": example})


class CheckoutCreateSchema(BaseSchema):
    """What somebody wants to buy."""

    items = fields.List(
        fields.Nested(CheckoutItemSchema),
        required=True,
        validate=validate.Length(min=1, max=MAX_ITEMS),
        metadata={"description": "Of one currency, and paid equally often; each price once."},
    )
    success_url = _address(
        "Where the payer goes then: an allowed origin, or an app's scheme. `{order_id}` is filled in. "
        "Default: a page of ours.",
        "devforge://orders/{order_id}",
    )
    cancel_url = _address("Likewise, for who turns back.", "devforge://pricing")


class CheckoutSchema(BaseSchema):
    """A page to pay on, which is open for a day."""

    checkout_url = fields.Text(
        max=None, metadata={"example": "https://checkout.stripe.com/c/pay/cs_test_a1B2c3"}
    )
    session_id = fields.Text(
        metadata={"description": "What the provider calls it.", "example": "cs_test_a1B2c3"}
    )
    order_id = fields.UUID(**SOME_ID)


class OrderStatusSchema(ResourceSchema):
    """What has become of an order."""

    status = fields.Enum(OrderStatus, by_value=True, metadata={"example": "canceled"})


class PortalCreateSchema(BaseSchema):
    """Where to return from the portal."""

    return_url = _address(
        "An allowed origin, or an app's scheme. Default: a page of ours.", "devforge://account"
    )


class PortalSchema(BaseSchema):
    """The portal, signed in as the caller: to be opened at once, and shown to nobody."""

    url = fields.Text(max=None, metadata={"example": "https://billing.stripe.com/p/session/test_a1B2c3"})
