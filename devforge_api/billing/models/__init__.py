"""The tables of billing, by topic."""

from devforge_api.billing.models.books import (
    Account,
    EventOutcome,
    LedgerLine,
    ProviderEvent,
    TestCheckout,
)
from devforge_api.billing.models.catalogue import Customer, Interval, Price, PriceReference
from devforge_api.billing.models.money import (
    Dispute,
    DisputeStatus,
    Invoice,
    InvoiceKind,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.models.orders import Hold, Order, OrderItem, OrderLicense, OrderStatus

__all__ = [
    "Account", "Customer", "Dispute", "DisputeStatus", "EventOutcome", "Hold", "Interval", "Invoice",
    "InvoiceKind", "LedgerLine", "Order", "OrderItem", "OrderLicense", "OrderStatus", "Payment",
    "PaymentStatus", "Price", "PriceReference", "ProviderEvent", "Refund", "RefundStatus", "Subscription",
    "SubscriptionStatus", "TestCheckout",
]  # fmt: skip
