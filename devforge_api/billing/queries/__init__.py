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
from devforge_api.billing.queries.money import (
    BILLING_LEDGER,
    INVOICES,
    PAYMENTS,
    PROVIDER_EVENTS,
    REFUNDS,
    SUBSCRIPTIONS,
    get_invoice,
    get_payment,
    get_refund,
    get_subscription,
    gone_of,
    invoices,
    ledger_lines,
    newest_paid,
    payments,
    payments_of,
    provider_events,
    refunds,
    refunds_of,
    subscriptions,
)
from devforge_api.billing.queries.orders import ORDERS, ShownOrder, get_order, items_of, orders, shown
from devforge_api.billing.queries.returned import Returned, returned

__all__ = [
    "BILLING_LEDGER", "INVOICES", "ORDERS", "PAYMENTS", "PRICES", "PROVIDER_EVENTS", "REFUNDS",
    "SUBSCRIPTIONS", "Offer", "Returned", "ShownOrder", "find_policy", "get_invoice", "get_order",
    "get_payment", "get_price", "get_refund", "get_subscription", "gone_of", "invoices", "items_of",
    "ledger_lines", "lock_order", "newest_paid", "offers", "offers_of", "orders", "payments", "payments_of",
    "price_references", "prices", "provider_events", "refunds", "refunds_of", "returned", "shown",
    "subscriptions",
]  # fmt: skip
