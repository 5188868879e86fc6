"""Refusals about billing."""

from devforge_api.core.errors import Conflict, DomainError, NotFound, Unavailable


class PriceNotFound(NotFound):
    """There is no such price."""

    code = "PRICE_NOT_FOUND"


class OrderNotFound(NotFound):
    """There is no such order."""

    code = "ORDER_NOT_FOUND"


class PaymentNotFound(NotFound):
    """There is no such payment."""

    code = "PAYMENT_NOT_FOUND"


class RefundNotFound(NotFound):
    """There is no such refund."""

    code = "REFUND_NOT_FOUND"


class InvoiceNotFound(NotFound):
    """There is no such invoice."""

    code = "INVOICE_NOT_FOUND"


class SubscriptionNotFound(NotFound):
    """There is no such subscription."""

    code = "SUBSCRIPTION_NOT_FOUND"


class ProviderNotFound(NotFound):
    """This payment provider is not configured here."""

    code = "PAYMENT_PROVIDER_NOT_FOUND"


class CheckoutNotFound(NotFound):
    """There is no such checkout."""

    code = "CHECKOUT_NOT_FOUND"


class BillingNotConfigured(Conflict):
    """Nothing can be bought here: no payment provider is configured."""

    code = "BILLING_NOT_CONFIGURED"


class PriceImmutable(Conflict):
    """A price's policy, amount, currency and interval never change; make another price."""

    code = "PRICE_IMMUTABLE"


class PriceInUse(Conflict):
    """Something was bought at this price; take it off sale instead."""

    code = "PRICE_IN_USE"


class OrderNotPaid(Conflict):
    """Nothing of this order is paid."""

    code = "ORDER_NOT_PAID"


class OrderNotPending(Conflict):
    """What has become of this order is decided, or its money is on its way."""

    code = "ORDER_NOT_PENDING"


class RefundTooLarge(Conflict):
    """More than is left of the payment cannot be given back."""

    code, field = "REFUND_TOO_LARGE", "amount"


class SubscriptionEnded(Conflict):
    """This subscription has ended."""

    code = "SUBSCRIPTION_ENDED"


class NoCustomer(Conflict):
    """There is nothing to manage: no order was paid yet."""

    code = "NO_CUSTOMER"


class InvalidSignature(DomainError):
    """The signature is missing, wrong, too old or from the future."""

    code, status = "INVALID_SIGNATURE", 400


class ProviderRefused(Conflict):
    """The payment provider has refused this."""

    code = "PROVIDER_REFUSED"


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer; try again."""

    code = "PAYMENT_PROVIDER_UNAVAILABLE"
