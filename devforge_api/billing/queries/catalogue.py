"""What is on sale, and what providers call it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select

from devforge_api.billing.errors import PriceNotFound
from devforge_api.billing.models import Price, PriceReference
from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.licenses.models import Policy, Product

PRICES = Listing(
    "PriceQuery",
    key=Price.id,
    filters={
        "policy_id": Price.policy_id,
        "product_id": Price.product_id,
        "currency": Price.currency,
        "interval": Price.interval,
        "active": Price.active,
        "created_at": Price.created_at,
    },
    sorts={"created_at": Price.created_at},
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A price with what is bought at it."""

    price: Price
    policy: Policy
    product: Product


def prices() -> Select[Price]:
    """Every price."""
    return select(Price)


def get_price(price_id: UUID, *, for_update: bool = False) -> Price:
    """One price.

    :param for_update: lock it until commit.
    :raises PriceNotFound: there is none.
    """
    statement = select(Price).where(Price.id == price_id)
    if for_update:
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    price = db.session.scalar(statement)
    if price is None:
        raise PriceNotFound
    return price


def find_policy(policy_id: UUID) -> Policy | None:
    """The policy that a price is to sell; None: there is none."""
    return db.session.get(Policy, policy_id)


def offers(currency: str | None = None) -> Sequence[Offer]:
    """What is on sale, in the order of the making of products and of prices.

    A policy that has become a trial since is given once and for nothing, and so is not sold.

    :param currency: only prices in this one.
    """
    statement = _offers().order_by(Product.created_at, Product.id, Price.created_at, Price.id)
    if currency is not None:
        statement = statement.where(Price.currency == currency)
    return [Offer(price, policy, product) for price, policy, product in db.session.execute(statement)]


def offers_of(price_ids: Collection[UUID]) -> dict[UUID, Offer]:
    """Those of these prices that are on sale; none of them is deleted before this transaction ends."""
    statement = _offers().where(Price.id.in_(price_ids)).order_by(Price.id)
    held = statement.with_for_update(of=Price, read=True, key_share=True)
    return {price.id: Offer(price, policy, product) for price, policy, product in db.session.execute(held)}


def _offers() -> Select[Price, Policy, Product]:
    return (
        select(Price, Policy, Product)
        .join(Policy, Policy.id == Price.policy_id)
        .join(Product, Product.id == Policy.product_id)
        .where(Price.active.is_(True), Policy.trial.is_(False))
    )


def price_references(price_ids: Collection[UUID], provider: str) -> dict[UUID, str]:
    """What a provider calls those of these prices that it knows."""
    statement = select(PriceReference.price_id, PriceReference.reference).where(
        PriceReference.price_id.in_(price_ids), PriceReference.provider == provider
    )
    return dict(db.session.execute(statement).all())
