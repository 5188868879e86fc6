"""What the report is made of: sums of the ledger, and counts; each by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, String, cast, func, select, type_coerce
from sqlalchemy.orm import aliased

from devforge_api.billing.models import (
    Account,
    Interval,
    LedgerLine,
    Order,
    OrderItem,
    Price,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.core.db import db
from devforge_api.licenses.models import Product

# Those who pay, or are about to: whoever tries something out first does not yet.
PAYING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, its end excluded, and perhaps one currency."""

    begin: datetime
    end: datetime
    currency: str | None

    def covers(self, moment: Any, currency: Any) -> list[ColumnElement[bool]]:
        """The condition on a row's moment and currency."""
        found = [moment >= self.begin, moment < self.end]
        return found if self.currency is None else [*found, currency == self.currency]


@dataclass(frozen=True, slots=True)
class Sum:
    """What came to an account.

    :param of: a day, a product, or an order.
    """

    currency: str
    account: Account
    of: Any
    amount: int


def _sums(of: Any, stretch: Stretch, statement: Any = None, *conditions: Any) -> list[Sum]:
    """Amounts by currency, account and something.

    :param statement: selects the lines; None: all of them.
    """
    lines = select(LedgerLine.id) if statement is None else statement
    grouped = (LedgerLine.currency, LedgerLine.account, of)
    summed = (
        lines.with_only_columns(*grouped, func.sum(LedgerLine.amount), maintain_column_froms=True)
        .where(*stretch.covers(LedgerLine.created_at, LedgerLine.currency), *conditions)
        .group_by(*grouped)
    )
    return [Sum(code, account, key, int(total)) for code, account, key, total in db.session.execute(summed)]


def sums_by_day(stretch: Stretch) -> list[Sum]:
    """By days of UTC."""
    if db.engine.dialect.name == "postgresql":
        day: Any = cast(cast(func.timezone("UTC", LedgerLine.created_at), Date), String)
    else:
        day = type_coerce(func.date(LedgerLine.created_at), String)
    return [
        Sum(one.currency, one.account, date.fromisoformat(one.of), one.amount) for one in _sums(day, stretch)
    ]


_item, _price = aliased(OrderItem), aliased(Price)
_other_item, _other_price = aliased(OrderItem), aliased(Price)
# Every line, with the first item of its order.
_FIRST_ITEM = (
    select(LedgerLine.id)
    .join(_item, (_item.order_id == LedgerLine.order_id) & (_item.position == 0))
    .join(_price, _price.id == _item.price_id)
)
_SEVERAL_PRODUCTS = (
    select(_other_item.id)
    .join(_other_price, _other_price.id == _other_item.price_id)
    .where(_other_item.order_id == LedgerLine.order_id, _other_price.product_id != _price.product_id)
    .correlate(LedgerLine, _price)
    .exists()
)


def sums_by_product(stretch: Stretch) -> list[Sum]:
    """Of orders that are all of one product."""
    return _sums(_price.product_id, stretch, _FIRST_ITEM, ~_SEVERAL_PRODUCTS)


def sums_of_mixed_orders(stretch: Stretch) -> list[Sum]:
    """By order, of those in which several products were bought."""
    return _sums(LedgerLine.order_id, stretch, _FIRST_ITEM, _SEVERAL_PRODUCTS)


def weights(order_ids: Sequence[UUID]) -> dict[UUID, dict[UUID, int]]:
    """How much of an order's amount each product makes up: order → product → minor units."""
    weight = func.sum(OrderItem.quantity * OrderItem.unit_amount)
    statement = (
        select(OrderItem.order_id, Price.product_id, weight)
        .join(Price, Price.id == OrderItem.price_id)
        .where(OrderItem.order_id.in_(order_ids))
        .group_by(OrderItem.order_id, Price.product_id)
        .order_by(OrderItem.order_id, Price.product_id)
    )
    found: dict[UUID, dict[UUID, int]] = {}
    for order_id, product_id, amount in db.session.execute(statement):
        found.setdefault(order_id, {})[product_id] = int(amount)
    return found


def products() -> dict[UUID, tuple[str, str]]:
    """Code and name of every product; few."""
    statement = select(Product.id, Product.code, Product.name)
    return {product_id: (code, name) for product_id, code, name in db.session.execute(statement)}


def _counts(statement: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in db.session.execute(statement.group_by(Order.currency))}


def orders_paid(stretch: Stretch) -> dict[str, int]:
    """How many orders were paid for the first time, by currency."""
    paid = stretch.covers(Order.paid_at, Order.currency)
    return _counts(select(Order.currency, func.count()).where(*paid))


def subscriptions_begun(stretch: Stretch) -> dict[str, int]:
    """How many subscriptions have begun, by currency."""
    begun = stretch.covers(Subscription.created_at, Order.currency)
    return _counts(_SUBSCRIPTIONS.where(*begun))


def subscriptions_ended(stretch: Stretch) -> dict[str, int]:
    """How many subscriptions have ended for good, by currency."""
    ended = stretch.covers(Subscription.ended_at, Order.currency)
    return _counts(_SUBSCRIPTIONS.where(*ended))


_SUBSCRIPTIONS = select(Order.currency, func.count()).join(Subscription, Subscription.order_id == Order.id)


def subscriptions_paying(currency: str | None) -> dict[str, int]:
    """How many subscriptions are paid for at present, by currency."""
    statement = _SUBSCRIPTIONS.where(Subscription.status.in_(PAYING))
    return _counts(statement if currency is None else statement.where(Order.currency == currency))


def recurring(currency: str | None) -> list[tuple[str, Interval, int]]:
    """What those subscriptions bring: currency, interval, minor units for each such interval.

    By the prices that they are at now, not by what the order once asked for.
    """
    amount = func.sum(OrderItem.quantity * Price.amount)
    statement = (
        select(Price.currency, Price.interval, amount)
        .join(OrderItem, OrderItem.price_id == Price.id)
        .join(Subscription, Subscription.order_id == OrderItem.order_id)
        .where(Subscription.status.in_(PAYING))
        .group_by(Price.currency, Price.interval)
    )
    if currency is not None:
        statement = statement.where(Price.currency == currency)
    return [(code, interval, int(total)) for code, interval, total in db.session.execute(statement)]
