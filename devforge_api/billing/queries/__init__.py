"""What can be listed and looked up about billing."""

from devforge_api.billing.queries.catalogue import (
    PRICES,
    Offer,
    find_policy,
    get_price,
    offers,
    offers_of,
    price_references,
    prices,
)
from devforge_api.billing.queries.held import lock_order

__all__ = [
    "PRICES", "Offer", "find_policy", "get_price", "lock_order", "offers", "offers_of", "price_references",
    "prices",
]  # fmt: skip
