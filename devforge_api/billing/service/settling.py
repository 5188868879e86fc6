"""Settling an order: what its provider says becomes what we record, and what licences are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.billing.models import Order, OrderStatus, Subscription, SubscriptionStatus
from devforge_api.billing.queries import lock_order
from devforge_api.billing.service import customers, letters
from devforge_api.billing.service.fulfillment import Fulfillment
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.billing.service.recording import open_books, record
from devforge_api.billing.service.standing import Access, Standing, standing
from devforge_api.core.configured import days
from devforge_api.core.db import db, unedited
from devforge_api.core.outbox import emit


@dataclass(frozen=True, slots=True)
class Settled:
    """An order after it was settled, and what that has changed, in words."""

    order_id: UUID
    status: OrderStatus
    changes: tuple[str, ...] = ()


def settle(order_id: UUID, snapshot: Snapshot, *, look: int, event_id: str | None, now: datetime) -> Settled:
    """Record what a look at the provider has shown, and make licences what they should be.

    In the caller's transaction, under the order's lock, and right however often it is repeated.

    :param look: the look's number. One that a later begun look has overtaken changes nothing: that one
        has seen whatever this one was begun for.
    :param event_id: the provider's event that has led here, which licences' ledgers cite.
    :raises OrderNotFound: there is no such order. :raises AmountDiffers: see `recording.record`.
    """
    order = lock_order(order_id)
    if look <= order.settled_look:
        return Settled(order.id, order.status)
    grace = days("BILLING_GRACE_DAYS")
    books = open_books(order)
    if snapshot.customer_reference is not None:
        customers.remember(order.user_id, order.provider, snapshot.customer_reference)
    record(books, snapshot, event_id=event_id, now=now, grace=grace)
    wanted = standing(books.recorded(snapshot), now=now, grace=grace)
    moved = _move(order, wanted, now)
    cause = event_id or books.cause or order.session_reference or str(order.id)
    fulfillment = Fulfillment(order, books.items, cause=cause, now=now)
    pieces = fulfillment.bring_to(wanted, books.moved)
    letters.tell_of_payments(books, pieces)
    letters.tell_of_failures(books)
    if moved:
        letters.tell_of_end(books, wanted.status)
    _end_at_provider(order, books.subscription, wanted)
    # No edit: who reads the order again finds it unchanged.
    db.session.execute(unedited(Order, Order.id == order.id, settled_look=look))
    return Settled(order.id, order.status, (*books.news, *moved, *fulfillment.news))


def _move(order: Order, wanted: Standing, now: datetime) -> list[str]:
    """Give an order its status, and tell of it where it is another one."""
    values: dict[str, Any] = {"status": wanted.status}
    if wanted.status is OrderStatus.PAID and order.paid_at is None:
        values["paid_at"] = now
    changes = audit.apply(order, values)
    if "status" not in changes:
        return []
    audit.record(f"order.{wanted.status}", target_type="order", target_id=order.id, changes=changes)
    if wanted.status is not OrderStatus.PENDING:
        emit(f"order.{wanted.status}", order_id=str(order.id))
    return [f"order {order.id} {wanted.status.value}"]


def _end_at_provider(order: Order, subscription: Subscription | None, wanted: Standing) -> None:
    """Nobody is charged for licences that have ended for good, nor whose account is gone.

    A subscription may begin while the account is removed: then whoever removes it finds none to end.
    """
    if subscription is None or (wanted.access is not Access.ENDED and order.user_id is not None):
        return
    if subscription.status is not SubscriptionStatus.CANCELED:
        emit("billing.cancel_requested", subscription_id=str(subscription.id))
