"""Checkouts: an order is made, the provider opens a page for it, and what it said is kept.

The provider is asked between two transactions. Killed in between, an order stays behind that nobody
can pay; it is canceled after a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select

from devforge_api.audit import service as audit
from devforge_api.billing import queries
from devforge_api.billing.errors import OrderNotPending
from devforge_api.billing.models import (
    Order,
    OrderItem,
    OrderStatus,
    Price,
    Subscription,
)
from devforge_api.billing.queries import Offer
from devforge_api.billing.service import customers, price_references
from devforge_api.billing.service.providers.base import Checkout, CheckoutRequest
from devforge_api.billing.service.return_urls import ReturnUrls
from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.outbox import emit
from devforge_api.users import service as users

# A checkout that has no page by then never gets one; the provider is waited for less than a minute.
ABANDONED_AFTER = timedelta(hours=1)
BATCH = 200
MOST_PIECES = 200  # all are made in one transaction, in about a second


def begin(
    order_id: UUID,
    *,
    user_id: UUID,
    wanted: Sequence[tuple[UUID, int]],
    success_url: str,
    cancel_url: str,
    provider: str,
    return_urls: ReturnUrls,
) -> CheckoutRequest:
    """Make an order, and say what to ask the provider for.

    :param wanted: price and quantity of each item; what they cost is read here.
    :param success_url: as `ReturnUrls.chosen` has chosen it; `cancel_url` likewise.
    :raises ValidationFailed: a price that is not on sale or comes twice, or prices that cannot be
        paid together.
    """
    pieces = sum(quantity for _, quantity in wanted)
    if pieces > MOST_PIECES:
        raise ValidationFailed.of("items", f"At most {MOST_PIECES} licences in one order.", "TOO_MANY")
    buyer = users.get_user(user_id, for_update=True)
    offers = _offers([price_id for price_id, _ in wanted])
    first = offers[0].price
    if first.trial_days is not None:
        _end_other_trials(user_id, offers)
    order = Order(
        id=order_id,
        user_id=user_id,
        amount=sum(offer.price.amount * count for offer, (_, count) in zip(offers, wanted, strict=True)),
        currency=first.currency,
        interval=first.interval,
        provider=provider,
        success_url=success_url,
        cancel_url=cancel_url,
    )
    db.session.add(order)
    db.session.flush()
    known_as = queries.price_references([offer.price.id for offer in offers], provider)
    lines = []
    for position, (offer, (_, quantity)) in enumerate(zip(offers, wanted, strict=True)):
        db.session.add(_item(order, position, offer, quantity))
        lines.append((price_references.to_buy(offer.price, known_as), quantity))
    changes = {"amount": (None, order.amount), "currency": (None, order.currency)}
    audit.record("order.created", target_type="order", target_id=order.id, changes=changes)
    emit("order.created", order_id=str(order.id))
    return CheckoutRequest(
        order_id=order_id,
        lines=tuple(lines),
        # For one licence: who needs more than that knows it, and a trial gives away no crowd of them.
        trial_days=None if pieces > 1 or _has_tried(user_id, offers) else first.trial_days,
        customer_reference=customers.reference_of(user_id, provider),
        user_id=user_id,
        email=buyer.email,
        success_url=return_urls.for_provider(success_url, order_id),
        cancel_url=return_urls.for_provider(cancel_url, order_id, canceled=True),
    )


def _offers(price_ids: Sequence[UUID]) -> list[Offer]:
    """What is to be bought, in the order in which it was asked for."""
    found = queries.offers_of(price_ids)
    wrong: list[dict[str, str]] = []
    first = next((found[price_id] for price_id in price_ids if price_id in found), None)
    for place, price_id in enumerate(price_ids):
        offer = found.get(price_id)
        told = _trouble(offer, first, twice=price_id in price_ids[:place])
        if told is not None:
            wrong.append({"field": f"items.{place}.price_id", "code": told[0], "message": told[1]})
    if wrong:
        raise ValidationFailed(wrong)
    return [found[price_id] for price_id in price_ids]


def _trouble(offer: Offer | None, first: Offer | None, *, twice: bool) -> tuple[str, str] | None:
    if offer is None or first is None:
        return "NOT_FOUND", "There is no such price on sale."
    if twice:
        return "DUPLICATE", "This price stands in another item already; raise its quantity."
    if offer.price.currency != first.price.currency:
        return "MIXED_CURRENCIES", f"Only prices in {first.price.currency}, as the first one is."
    if offer.price.interval is not first.price.interval:
        return "MIXED_INTERVALS", f"Only prices that are paid as the first one is: {first.price.interval}."
    if offer.price.trial_days != first.price.trial_days:
        return "MIXED_TRIALS", "Only prices with as many trial days as the first one."
    return None


def _item(order: Order, position: int, offer: Offer, quantity: int) -> OrderItem:
    return OrderItem(
        order_id=order.id,
        position=position,
        price_id=offer.price.id,
        policy_id=offer.price.policy_id,
        description=offer.price.name,
        quantity=quantity,
        unit_amount=offer.price.amount,
    )


def _has_tried(user_id: UUID, offers: Sequence[Offer]) -> bool:
    """Whether the user has had a subscription to one of these products: trials are for new ones."""
    if all(offer.price.trial_days is None for offer in offers):
        return False
    products = {offer.product.id for offer in offers}
    before = (
        select(Subscription.id)
        .join(OrderItem, OrderItem.order_id == Subscription.order_id)
        .join(Price, Price.id == OrderItem.price_id)
        .where(Subscription.user_id == user_id, Price.product_id.in_(products))
    )
    return bool(db.session.scalar(select(exists(before))))


def _end_other_trials(user_id: UUID, offers: Sequence[Offer]) -> None:
    """Close the user's other pages for a trial of these products: one is tried, however many are opened.

    Under the user's lock: of two checkouts at once the second one sees the first one's order.
    """
    products = {offer.product.id for offer in offers}
    tried = (
        select(OrderItem.order_id)
        .join(Price, Price.id == OrderItem.price_id)
        .where(Price.product_id.in_(products), Price.trial_days.is_not(None))
    )
    theirs = select(Order).where(
        Order.user_id == user_id, Order.status == OrderStatus.PENDING, Order.id.in_(tried)
    )
    for order in db.session.scalars(theirs.order_by(Order.id).with_for_update()).all():
        if order.session_reference is None:
            cancel_unreached(order)
        else:
            emit("billing.close_requested", order_id=str(order.id))


def attach(order_id: UUID, checkout: Checkout) -> Order:
    """Keep what the provider calls an order and its prices, and where it is paid.

    :returns: the order; its caller closes the page of one that was canceled meanwhile.
    """
    order = queries.lock_order(order_id)
    order.session_reference = checkout.reference
    if order.status is OrderStatus.PENDING:
        order.checkout_url = checkout.url
    price_references.remember(order.provider, checkout.prices or {})
    if checkout.customer_reference is not None:
        customers.rename(order.user_id, order.provider, checkout.customer_reference)
    if order.user_id is None:  # the account was removed meanwhile, by somebody who found no page to close
        emit("billing.close_requested", order_id=str(order.id))
    db.session.flush()
    return order


def cancel_unreached(order: Order) -> None:
    """End a locked order for which the provider has no page. :raises OrderNotPending: it is decided."""
    if order.status is not OrderStatus.PENDING or order.session_reference is not None:
        raise OrderNotPending(None, status=order.status.value)
    order.status = OrderStatus.CANCELED
    db.session.flush()
    changes = {"status": (OrderStatus.PENDING, OrderStatus.CANCELED)}
    audit.record("order.canceled", target_type="order", target_id=order.id, changes=changes)
    emit("order.canceled", order_id=str(order.id))


def cancel_abandoned(now: datetime) -> int:
    """Cancel orders that have no page to be paid on and will not get one. Returns how many."""
    left_behind = (
        select(Order)
        .where(
            Order.status == OrderStatus.PENDING,
            Order.session_reference.is_(None),
            Order.created_at < now - ABANDONED_AFTER,
        )
        .order_by(Order.created_at, Order.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = db.session.scalars(left_behind).all()
    for order in found:
        cancel_unreached(order)
    return len(found)
