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
from devforge_api.billing.queries.returned import Returned, returned

__all__ = [
    "PRICES", "Offer", "Returned", "find_policy", "get_price", "lock_order", "offers", "offers_of",
    "price_references", "prices", "returned",
]  # fmt: skip
