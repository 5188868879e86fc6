"""Orders and money as rows, for tests of what is read; what moves money is tested through providers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devforge_api.billing.models import (
    Account,
    Dispute,
    DisputeStatus,
    Interval,
    Invoice,
    InvoiceKind,
    LedgerLine,
    Order,
    OrderItem,
    OrderLicense,
    OrderStatus,
    Payment,
    PaymentStatus,
    Price,
    ProviderEvent,
    Refund,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypt
from devforge_api.licenses.models import Policy
from tests.factories import Api, Person

_numbers = itertools.count(1)
Row = Any


class Books:
    """Writes rows of billing as if a provider had told of them."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def _add(self, row: Row) -> Row:
        with self.api.app.app_context(), unit_of_work():
            db.session.add(row)
        return row

    def price(self, policy_id: UUID | None = None, **values: Any) -> Price:
        """A price; 59.00 USD, once, unless said otherwise."""
        policy_id = policy_id or self.api.policy()
        with self.api.app.app_context():
            policy = db.session.get(Policy, policy_id)
            assert policy is not None
        given = {"name": "Pro", "amount": 5900, "currency": "USD", "interval": Interval.ONE_TIME, **values}
        price: Price = self._add(Price(policy_id=policy_id, product_id=policy.product_id, **given))
        return price

    def order(
        self,
        owner: Person | None = None,
        prices: Sequence[tuple[Price, int]] | None = None,
        *,
        licensed: bool = False,
        **values: Any,
    ) -> Order:
        """An order of one price unless said otherwise, paid.

        :param licensed: with a licence for each piece.
        """
        prices = prices or [(self.price(), 1)]
        first, now = prices[0][0], utc_now()
        given = {
            "user_id": owner.id if owner else None,
            "status": OrderStatus.PAID,
            "amount": sum(price.amount * quantity for price, quantity in prices),
            "currency": first.currency,
            "interval": first.interval,
            "provider": "test",
            "session_reference": f"session_{next(_numbers)}",
            "checkout_url": "http://localhost/pay",
            "success_url": "http://localhost/thanks",
            "cancel_url": "http://localhost/pity",
            "paid_at": now,
            **values,
        }
        if given["status"] is OrderStatus.PENDING:
            given["paid_at"] = values.get("paid_at")
        order: Order = self._add(Order(**given))
        for position, (price, quantity) in enumerate(prices):
            item = self._add(
                OrderItem(
                    order_id=order.id,
                    position=position,
                    price_id=price.id,
                    policy_id=price.policy_id,
                    description=price.name,
                    quantity=quantity,
                    unit_amount=price.amount,
                )
            )
            for number in range(quantity if licensed else 0):
                license_ = self.api.license(price.policy_id, owner=owner)
                self._add(OrderLicense(item_id=item.id, number=number, license_id=license_.id))
        return order

    def payment(self, order: Order, **values: Any) -> Payment:
        """A payment of the order's whole amount, paid unless said otherwise."""
        number = next(_numbers)
        given = {
            "order_id": order.id,
            "provider": order.provider,
            "reference": f"payment_{number}",
            "charge_reference": f"charge_{number}",
            "status": PaymentStatus.PAID,
            "amount": order.amount,
            "currency": order.currency,
            "paid_at": utc_now(),
            **values,
        }
        payment: Payment = self._add(Payment(**given))
        return payment

    def refund(self, payment: Payment, **values: Any) -> Refund:
        """A refund of the whole payment, succeeded unless said otherwise."""
        given = {
            "payment_id": payment.id,
            "provider": payment.provider,
            "reference": f"refund_{next(_numbers)}",
            "status": RefundStatus.SUCCEEDED,
            "amount": payment.amount,
            "reason": "Bought twice.",
            **values,
        }
        refund: Refund = self._add(Refund(**given))
        return refund

    def dispute(self, payment: Payment, **values: Any) -> Dispute:
        """A dispute about the whole payment, open unless said otherwise."""
        given = {
            "payment_id": payment.id,
            "provider": payment.provider,
            "reference": f"dispute_{next(_numbers)}",
            "status": DisputeStatus.OPEN,
            "amount": payment.amount,
            **values,
        }
        dispute: Dispute = self._add(Dispute(**given))
        return dispute

    def subscription(self, order: Order, **values: Any) -> Subscription:
        """The order's subscription, active unless said otherwise."""
        given = {
            "order_id": order.id,
            "user_id": order.user_id,
            "provider": order.provider,
            "reference": f"subscription_{next(_numbers)}",
            "status": SubscriptionStatus.ACTIVE,
            "current_period_end": utc_now() + timedelta(days=30),
            **values,
        }
        subscription: Subscription = self._add(Subscription(**given))
        return subscription

    def invoice(self, payment: Payment, order: Order, *, number: int, **values: Any) -> Invoice:
        """Our document of a payment."""
        line = {"description": "Pro", "quantity": 1, "unit_amount": payment.amount, "amount": payment.amount}
        given = {
            "number": number,
            "kind": InvoiceKind.INVOICE,
            "source_id": payment.id,
            "order_id": order.id,
            "user_id": order.user_id,
            "amount": payment.amount,
            "currency": payment.currency,
            "lines": [line],
            **values,
        }
        invoice: Invoice = self._add(Invoice(**given))
        return invoice

    def posting(
        self, name: str, order: Order, lines: dict[Account, int], *, at: datetime | None = None
    ) -> list[LedgerLine]:
        """The lines of a posting by their accounts; nobody checks that they sum to zero."""
        return [
            self._add(
                LedgerLine(
                    posting=name,
                    account=account,
                    amount=amount,
                    currency=order.currency,
                    order_id=order.id,
                    created_at=at or utc_now(),
                )
            )
            for account, amount in lines.items()
        ]

    def event(self, **values: Any) -> ProviderEvent:
        """An event of the inbox that waits."""
        with self.api.app.app_context():
            payload = encrypt("{}")
        given = {
            "provider": "test",
            "event_id": f"evt_{next(_numbers)}",
            "kind": "checkout.completed",
            "payload": payload,
            **values,
        }
        event: ProviderEvent = self._add(ProviderEvent(**given))
        return event
