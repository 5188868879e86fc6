"""Orders on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devforge_api.billing.models import Interval, OrderStatus
from devforge_api.billing.queries import ShownOrder
from devforge_api.billing.schemas.shared import CURRENCY, NO_MOMENT, PROVIDER, SOME_ID, amount
from devforge_api.core import fields
from devforge_api.core.context import principal
from devforge_api.core.schemas import BaseSchema, EditableSchema
from devforge_api.licenses.schemas.licenses import LicenseSchema
from devforge_api.licenses.schemas.shared import masked_key

if TYPE_CHECKING:
    from devforge_api.licenses.models import License


class OrderItemSchema(BaseSchema):
    """Licences of one policy within an order."""

    position = fields.Int(metadata={"description": "From 0; it stays.", "example": 0})
    price_id = fields.UUID(**SOME_ID)
    policy_id = fields.UUID(**SOME_ID)
    description = fields.Text(metadata={"example": "Dev Forge Pro"})
    quantity = fields.Int(metadata={"example": 1})
    unit_amount = amount("For one licence, in minor units.")


class OrderedLicenseSchema(LicenseSchema):
    """A licence that came of an order: as licences show it, and less of it."""

    class Meta(LicenseSchema.Meta):
        """What an order tells of it."""

        fields = ("id", "key", "status")

    def show_key(self, license_: License) -> str:
        """In full for its owner and for who may issue it: whoever has given it away knows it no longer.

        A token that may not read licences does not learn their keys from orders either.
        """
        caller = principal()
        theirs = license_.user_id == caller.user_id and "licenses:read" in caller.scopes
        if theirs or "licenses:write" in caller.scopes:
            return license_.key
        return masked_key(license_.key)


class OrderSchema(EditableSchema):
    """One checkout, and what came of it."""

    user_id = fields.UUID(
        allow_none=True, metadata={"description": "Null: the account was removed.", **SOME_ID["metadata"]}
    )
    status = fields.Enum(OrderStatus, by_value=True, metadata={"example": "paid"})
    amount = amount("What the checkout asked for, in minor units; a subscription may have moved since.")
    currency = fields.Text(**CURRENCY)
    interval = fields.Enum(
        Interval,
        by_value=True,
        metadata={"description": "How often, as the checkout asked for it.", "example": "one_time"},
    )
    provider = fields.Text(**PROVIDER)
    items = fields.List(fields.Nested(OrderItemSchema))
    licenses = fields.List(fields.Nested(OrderedLicenseSchema))
    subscription_id = fields.UUID(
        allow_none=True, metadata={"description": "Null: bought once and for all.", "example": None}
    )
    checkout_url = fields.Method(
        "show_checkout_url",
        metadata={
            "type": ["string", "null"],
            "description": "Where its owner pays it, while it is pending.",
            "example": None,
        },
    )
    paid_at = fields.Timestamp(**NO_MOMENT)

    def show_checkout_url(self, order: ShownOrder) -> str | None:
        """For the owner alone: whoever has the page's address may pay, or decline."""
        is_open = order.status is OrderStatus.PENDING
        return order.checkout_url if is_open and order.user_id == principal().user_id else None
