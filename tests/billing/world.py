"""An order and what its provider may say of it, for tests that need no provider."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    LedgerLine,
    Order,
    OrderItem,
    OrderLicense,
    PaymentStatus,
    Price,
    RefundStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import (
    SeenDispute,
    SeenPayment,
    SeenRefund,
    SeenSubscription,
    SessionState,
    Snapshot,
)
from devforge_api.billing.service.settling import Settled, settle
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.licenses.models import LedgerEntry, License, Policy
from tests.factories import Api, Person

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
COMPLETE, OPEN, EXPIRED = SessionState.COMPLETE, SessionState.OPEN, SessionState.EXPIRED
_numbers = itertools.count(1)


class World:
    """One buyer with one order."""

    def __init__(
        self, api: Api, *, interval: Interval = Interval.ONE_TIME, quantity: int = 1, amount: int = 5900
    ) -> None:
        self.api = api
        self.buyer: Person = api.person()
        self.policy_id: UUID = api.policy()
        self.price_id = self.price(self.policy_id, interval=interval, amount=amount)
        self.amount = amount * quantity
        self.session = f"cs_{next(_numbers)}"
        self.now = START
        self._looks = itertools.count(1)
        with api.app.app_context(), unit_of_work():
            order = Order(
                id=uuid7(),
                user_id=self.buyer.id,
                amount=self.amount,
                currency="USD",
                interval=interval,
                provider="test",
                session_reference=self.session,
                success_url="https://shop.example/yes",
                cancel_url="https://shop.example/no",
            )
            db.session.add(order)
            db.session.flush()
            item = OrderItem(
                id=uuid7(),
                order_id=order.id,
                position=0,
                price_id=self.price_id,
                policy_id=self.policy_id,
                description="Pro",
                quantity=quantity,
                unit_amount=amount,
            )
            db.session.add(item)
            self.order_id = order.id

    def price(self, policy_id: UUID, **values: Any) -> UUID:
        """A price of a policy."""
        with self.api.app.app_context(), unit_of_work():
            policy = db.session.get_one(Policy, policy_id)
            price = Price(
                id=uuid7(),
                policy_id=policy.id,
                product_id=policy.product_id,
                name="Pro",
                currency="USD",
                **values,
            )
            db.session.add(price)
            return price.id

    # --- what the provider says ------------------------------------------------------------------
    def payment(self, **values: Any) -> SeenPayment:
        """The order's payment: one-time, and paid unless said otherwise."""
        known: dict[str, Any] = {
            "reference": self.session,
            "charge_reference": f"pi_{self.session}",
            "status": PaymentStatus.PAID,
            "amount": self.amount,
            "currency": "USD",
            "paid_at": self.now,
        }
        return SeenPayment(**known | values)

    def period(self, number: int, **values: Any) -> SeenPayment:
        """The payment of a subscription's period, counted from 0."""
        begin = START + number * MONTH
        known: dict[str, Any] = {
            "reference": f"in_{self.session}_{number}",
            "charge_reference": f"pi_{self.session}_{number}",
            "period_start": begin,
            "period_end": begin + MONTH,
            "paid_at": begin,
        }
        return self.payment(**known | values)

    def subscription(self, *, periods: int = 1, **values: Any) -> SeenSubscription:
        """The order's subscription, in its n-th period."""
        known: dict[str, Any] = {
            "reference": f"sub_{self.session}",
            "status": SubscriptionStatus.ACTIVE,
            "current_period_end": START + periods * MONTH,
            "price_ids": (self.price_id,),
        }
        return SeenSubscription(**known | values)

    # --- what comes of it ------------------------------------------------------------------------
    def settle(self, snapshot: Snapshot, *, look: int | None = None, event: str | None = None) -> Settled:
        """Settle a snapshot, as the next look unless said otherwise."""
        number = next(self._looks) if look is None else look
        with self.api.app.app_context(), unit_of_work():
            return settle(
                self.order_id, snapshot, look=number, event_id=event or f"evt_{number}", now=self.now
            )

    def order(self) -> Order:
        with self.api.app.app_context():
            return db.session.get_one(Order, self.order_id)

    def licenses(self) -> list[License]:
        """The order's licences."""
        with self.api.app.app_context():
            mine = (
                select(License)
                .join(OrderLicense, OrderLicense.license_id == License.id)
                .join(OrderItem, OrderItem.id == OrderLicense.item_id)
                .where(OrderItem.order_id == self.order_id)
            )
            return list(db.session.scalars(mine.order_by(OrderLicense.number)))

    def license(self) -> License:
        (found,) = self.licenses()
        return found

    def history(self) -> list[tuple[str, str, str | None]]:
        """What happened to the licences: event, kind of cause, and its id."""
        with self.api.app.app_context():
            entries = db.session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)).all()
            return [(entry.event, entry.cause.value, entry.cause_id) for entry in entries]

    def balances(self) -> dict[str, int]:
        """What stands on each account; all of them sum to zero."""
        with self.api.app.app_context():
            lines = db.session.scalars(select(LedgerLine)).all()
        postings: dict[str, int] = {}
        accounts: dict[str, int] = {}
        for line in lines:
            postings[line.posting] = postings.get(line.posting, 0) + line.amount
            accounts[line.account.value] = accounts.get(line.account.value, 0) + line.amount
        assert set(postings.values()) <= {0}
        return {account: amount for account, amount in accounts.items() if amount}


def paid(world: World) -> Snapshot:
    """A checkout that is paid once."""
    return Snapshot(COMPLETE, (world.payment(),))


def running(world: World, periods: int = 1, **values: Any) -> Snapshot:
    """A subscription that is paid for so many periods."""
    payments = tuple(world.period(number) for number in range(periods))
    return Snapshot(COMPLETE, payments, subscription=world.subscription(periods=periods, **values))


def refunded(snapshot: Snapshot, **values: Any) -> Snapshot:
    """The same with another refund."""
    newest = snapshot.payments[-1]
    known: dict[str, Any] = {
        "reference": f"re_{newest.reference}",
        "charge_reference": newest.charge_reference,
        "status": RefundStatus.SUCCEEDED,
        "amount": newest.amount,
    }
    return replace(snapshot, refunds=(*snapshot.refunds, SeenRefund(**known | values)))


def disputed(snapshot: Snapshot, **values: Any) -> Snapshot:
    """The same with a dispute."""
    newest = snapshot.payments[-1]
    known: dict[str, Any] = {
        "reference": f"dp_{newest.reference}",
        "charge_reference": newest.charge_reference,
        "status": DisputeStatus.OPEN,
        "amount": newest.amount,
    }
    return replace(snapshot, disputes=(SeenDispute(**known | values),))
