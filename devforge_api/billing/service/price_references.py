"""What providers call prices."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from devforge_api.billing.models import Price, PriceReference
from devforge_api.billing.service.providers.base import PriceToBuy
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, insert_into


def to_buy(price: Price, references: Mapping[UUID, str]) -> PriceToBuy:
    """A price as its provider is asked for it.

    :param references: what the provider calls prices, as far as it knows them.
    """
    return PriceToBuy(
        price_id=price.id,
        reference=references.get(price.id),
        name=price.name,
        amount=price.amount,
        currency=price.currency,
        interval=price.interval,
    )


def remember(provider: str, references: Mapping[UUID, str]) -> None:
    """Keep what a provider calls prices from now on; the first name stays."""
    if not references:
        return
    rows = [
        {"price_id": price_id, "provider": provider, "reference": reference, "created_at": utc_now()}
        for price_id, reference in sorted(references.items())  # in one order: two orders wait in line
    ]
    db.session.execute(insert_into(PriceReference).on_conflict_do_nothing(), rows)
