"""Orders and their money as part of what is known of a person.

The books are kept, without the person: orders, payments and invoices stay with their amounts and
name nobody. Nobody is charged any more whose account is gone: pages are closed, subscriptions ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update

from devforge_api.billing.models import (
    Customer,
    Dispute,
    EventOutcome,
    Invoice,
    LedgerLine,
    Order,
    OrderItem,
    OrderLicense,
    OrderStatus,
    Payment,
    ProviderEvent,
    Refund,
    Subscription,
    SubscriptionStatus,
    TestCheckout,
)
from devforge_api.core.db import db
from devforge_api.core.encryption import encrypt
from devforge_api.core.outbox import emit
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    orders = select(Order.id).where(Order.user_id == subject.user_id)
    payments = select(Payment.id).where(Payment.order_id.in_(orders))
    items = select(OrderItem.id).where(OrderItem.order_id.in_(orders))
    yield "customers", rows(Customer, Customer.user_id == subject.user_id)
    yield "orders", rows(Order, Order.user_id == subject.user_id)
    yield "order_items", rows(OrderItem, OrderItem.order_id.in_(orders))
    yield "order_licenses", rows(OrderLicense, OrderLicense.item_id.in_(items))
    yield "subscriptions", rows(Subscription, Subscription.user_id == subject.user_id)
    yield "payments", rows(Payment, Payment.order_id.in_(orders))
    by_whom = frozenset({"requested_by"})  # somebody of the team
    yield "refunds", rows(Refund, Refund.payment_id.in_(payments), without=by_whom)
    yield "disputes", rows(Dispute, Dispute.payment_id.in_(payments))
    yield "invoices", rows(Invoice, Invoice.user_id == subject.user_id)
    yield "ledger", rows(LedgerLine, LedgerLine.order_id.in_(orders))
    encrypted = frozenset({"payload"})
    yield "provider_events", rows(ProviderEvent, ProviderEvent.order_id.in_(orders), without=encrypted)
    yield "test_checkouts", rows(TestCheckout, TestCheckout.order_id.in_(orders))


def _erase(subject: Subject) -> Iterator[Erased]:
    theirs = Order.user_id == subject.user_id
    # Locked first, in the order of their ids: what is settled meanwhile is seen here, or names nobody.
    locked = db.session.scalars(select(Order).where(theirs).order_by(Order.id).with_for_update())
    orders = locked.all()
    ids = [order.id for order in orders]
    _stop_charging(orders)
    yield run("billing_customers", "removed", delete(Customer).where(Customer.user_id == subject.user_id))
    nobody: dict[str, Any] = {"user_id": None}
    where = {"success_url": "", "cancel_url": "", "checkout_url": None}
    yield _forget("orders", Order, Order.id.in_(ids), **nobody, **where)
    yield _forget("subscriptions", Subscription, Subscription.user_id == subject.user_id, **nobody)
    yield _forget("invoices", Invoice, Invoice.user_id == subject.user_id, **nobody)
    payments = select(Payment.id).where(Payment.order_id.in_(ids))
    yield _forget("disputes", Dispute, Dispute.payment_id.in_(payments), reason=None)
    spoken = or_(Refund.reason.is_not(None), Refund.failure.is_not(None))
    yield _forget("refunds", Refund, Refund.payment_id.in_(payments) & spoken, reason=None, failure=None)
    yield _forget("refunds", Refund, Refund.requested_by == subject.user_id, requested_by=None)
    failed = Payment.order_id.in_(ids) & Payment.failure.is_not(None)
    yield _forget("payments", Payment, failed, failure=None)
    # Their ids stay, so that what is told again is known.
    told = ProviderEvent.order_id.in_(ids) & (ProviderEvent.outcome != EventOutcome.WAITING)
    yield _forget("billing_events", ProviderEvent, told, payload=encrypt(json.dumps({})))
    yield Erased("test_checkouts", "anonymized", _forget_checkouts(ids))


def _stop_charging(orders: Any) -> None:
    for order in orders:
        if order.status is OrderStatus.PENDING and order.session_reference is not None:
            emit("billing.close_requested", order_id=str(order.id))
    running = select(Subscription.id).where(
        Subscription.order_id.in_([order.id for order in orders]),
        Subscription.status != SubscriptionStatus.CANCELED,
    )
    for subscription_id in db.session.scalars(running.order_by(Subscription.id)):
        emit("billing.cancel_requested", subscription_id=str(subscription_id))


def _forget(table: str, model: Any, which: ColumnElement[bool], **values: Any) -> Erased:
    """Empty columns; nobody has edited the rows."""
    if "updated_at" in model.__table__.c:
        values["updated_at"] = model.updated_at
    return run(table, "anonymized", update(model).where(which).values(values))


def _forget_checkouts(order_ids: list[UUID]) -> int:
    """The built-in provider forgets who it was; what it knows of the money stays."""
    theirs = select(TestCheckout).where(TestCheckout.order_id.in_(order_ids)).with_for_update()
    found = db.session.scalars(theirs.order_by(TestCheckout.reference)).all()
    for row in found:
        without = {
            topic: [{**one, "failure": None} for one in row.state[topic]] for topic in ("payments", "refunds")
        }
        row.state = {**row.state, **without, "customer": None, "success_url": "", "cancel_url": ""}
    db.session.flush()
    return len(found)


TABLES = frozenset({
    "billing_customers", "orders", "order_items", "order_licenses", "subscriptions", "payments", "refunds",
    "disputes", "invoices", "billing_ledger", "billing_events", "test_checkouts",
})  # fmt: skip
BILLING_DATA = PersonalData("billing", TABLES, _export, _erase)
