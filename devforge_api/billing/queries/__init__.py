"""What can be listed and looked up about billing."""

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

__all__ = [
    "BILLING_LEDGER", "INVOICES", "ORDERS", "PAYMENTS", "PROVIDER_EVENTS", "REFUNDS", "SUBSCRIPTIONS",
    "ShownOrder", "get_invoice", "get_order", "get_payment", "get_refund", "get_subscription", "gone_of",
    "invoices", "items_of", "ledger_lines", "lock_order", "newest_paid", "orders", "payments", "payments_of",
    "provider_events", "refunds", "refunds_of", "shown", "subscriptions",
]  # fmt: skip
