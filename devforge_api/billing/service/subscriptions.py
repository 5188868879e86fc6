"""What is done to subscriptions: asked of the provider, and believed when a look has shown it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devforge_api.audit import service as audit
from devforge_api.billing import queries
from devforge_api.billing.errors import SubscriptionEnded
from devforge_api.billing.models import (
    Interval,
    OrderItem,
    OrderLicense,
    Price,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service import price_references
from devforge_api.billing.service.providers.base import Provider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, rehearsed, unit_of_work
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.service import transfer
from devforge_api.licenses.service.ordered import LicenseStatus, lock_licenses


def check_not_ended(subscription: Subscription) -> None:
    """:raises SubscriptionEnded: nothing can be changed any more."""
    if subscription.status is SubscriptionStatus.CANCELED:
        raise SubscriptionEnded


def change_price(provider: Provider, subscription: Subscription, *, price_id: UUID, item: int | None) -> None:
    """Move an item of a subscription to another price of its product, prorated by the provider.

    With no transaction open.

    :param item: its position; None: the only one.
    :raises SubscriptionEnded: it has. :raises ValidationFailed: not a price for it, or no such item.
    :raises FingerprintTaken: the price's policy wants fingerprints unique where another seat has one.
    :raises ProviderRefused: as when the items of one subscription would be paid at different intervals.
    :raises ProviderUnavailable: no answer.
    """
    check_not_ended(subscription)
    changed = _item(queries.items_of(subscription.order_id), item)
    price = _fitting(price_id, changed)
    if price.id == changed.price_id:
        return
    _rehearse(subscription.order_id, changed, price.policy_id)
    known = queries.price_references([price.id], provider.name)
    wanted = price_references.to_buy(price, known)
    changes = {"item": (None, changed.position), "price_id": (changed.price_id, price.id)}
    _record(subscription, "price_change_requested", changes)
    known_as = provider.change_price(subscription.reference, changed.position, wanted)
    if known_as != wanted.reference:
        with unit_of_work():
            price_references.remember(provider.name, {price.id: known_as})


def _item(items: Sequence[OrderItem], position: int | None) -> OrderItem:
    if position is None and len(items) > 1:
        raise ValidationFailed.of("item", "Say which: the subscription has several.", "REQUIRED")
    for item in items:
        if position is None or item.position == position:
            return item
    raise ValidationFailed.of("item", "There is no such item.", "NOT_FOUND")


def _fitting(price_id: UUID, item: OrderItem) -> Price:
    """The price, if the item can move to it."""
    price, present = db.session.get(Price, price_id), db.session.get(Price, item.price_id)
    assert present is not None  # the item's key holds it
    if price is None or (price.id != present.id and price.id not in queries.offers_of([price.id])):
        raise ValidationFailed.of("price_id", "There is no such price on sale.", "NOT_FOUND")
    if price.interval is Interval.ONE_TIME:
        raise ValidationFailed.of("price_id", "A subscription is paid again and again; this price is not.")
    if price.currency != present.currency:
        raise ValidationFailed.of("price_id", f"The subscription is paid in {present.currency}.")
    if price.product_id != present.product_id:
        raise ValidationFailed.of("price_id", "It is a price of another product.")
    return price


def _rehearse(order_id: UUID, item: OrderItem, policy_id: UUID) -> None:
    """Before anything is charged: can the item's licences follow it to another policy?"""
    if item.policy_id == policy_id:
        return
    with rehearsed():
        queries.lock_order(order_id)
        mine = db.session.scalars(select(OrderLicense.license_id).where(OrderLicense.item_id == item.id))
        for license_ in lock_licenses(found for found in mine if found is not None).values():
            if license_.status is not LicenseStatus.REVOKED and license_.policy_id != policy_id:
                transfer.transfer(license_, now=utc_now(), policy_id=policy_id)


def cancel(provider: Provider, subscription: Subscription, *, at_period_end: bool) -> None:
    """End a subscription, now or when what is paid for is over; with no transaction open.

    :raises SubscriptionEnded: it has. :raises ProviderRefused: no. :raises ProviderUnavailable: no answer.
    """
    check_not_ended(subscription)
    _record(subscription, "cancel_requested", {"at_period_end": (None, at_period_end)})
    provider.cancel(subscription.reference, at_period_end=at_period_end)


def resume(provider: Provider, subscription: Subscription) -> None:
    """Take back that a subscription ends with its period; with no transaction open.

    :raises SubscriptionEnded: it has. :raises ProviderRefused: no. :raises ProviderUnavailable: no answer.
    """
    check_not_ended(subscription)
    _record(subscription, "resume_requested", {})
    provider.resume(subscription.reference)


def _record(subscription: Subscription, verb: str, changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Before the provider is asked: who dies afterwards has asked all the same."""
    with unit_of_work():
        audit.record(
            f"subscription.{verb}", target_type="subscription", target_id=subscription.id, changes=changes
        )
