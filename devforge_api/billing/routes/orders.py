"""Orders, payments and documents: told, never edited.

They follow from what providers say: none of them takes a PUT, PATCH or DELETE.
"""

from __future__ import annotations

from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.billing import queries
from devforge_api.billing.errors import InvoiceNotFound, OrderNotFound, PaymentNotFound
from devforge_api.billing.models import Invoice, LedgerLine, Order, Payment, ProviderEvent
from devforge_api.billing.routes import blp
from devforge_api.billing.routes.shared import reader
from devforge_api.billing.schemas.money import (
    InvoiceSchema,
    LedgerLineSchema,
    PaymentSchema,
    ProviderEventSchema,
)
from devforge_api.billing.schemas.orders import OrderSchema
from devforge_api.core.responses import carries_secret
from devforge_api.core.security import requires


@blp.route("/orders")
class Orders(MethodView):
    """One's own; everybody's for staff."""

    @requires("billing:read")
    @blp.listing(queries.ORDERS, OrderSchema)
    def get(self) -> Select[Order]:
        """List orders with their licences"""
        carries_secret()
        return queries.orders(reader_id=reader())


@blp.route("/orders/<uuid:order_id>")
class OneOrder(MethodView):
    """One of them."""

    @requires("billing:read")
    @blp.response(200, OrderSchema)
    @blp.raises(OrderNotFound)
    def get(self, order_id: UUID) -> queries.ShownOrder:
        """Show an order with its licences; an app polls it while it is pending"""
        carries_secret()
        (shown,) = queries.shown([queries.get_order(order_id, reader_id=reader())])
        return shown


@blp.route("/payments")
class Payments(MethodView):
    """Of one's own orders; everybody's for staff."""

    @requires("billing:read")
    @blp.listing(queries.PAYMENTS, PaymentSchema)
    def get(self) -> Select[Payment]:
        """List payments"""
        return queries.payments(reader_id=reader())


@blp.route("/payments/<uuid:payment_id>")
class OnePayment(MethodView):
    """One of them."""

    @requires("billing:read")
    @blp.response(200, PaymentSchema)
    @blp.raises(PaymentNotFound)
    def get(self, payment_id: UUID) -> Payment:
        """Show a payment"""
        return queries.get_payment(payment_id, reader_id=reader())


@blp.route("/invoices")
class Invoices(MethodView):
    """One's own; everybody's for staff."""

    @requires("billing:read")
    @blp.listing(queries.INVOICES, InvoiceSchema)
    def get(self) -> Select[Invoice]:
        """List invoices and credit notes"""
        return queries.invoices(reader_id=reader())


@blp.route("/invoices/<uuid:invoice_id>")
class OneInvoice(MethodView):
    """One of them."""

    @requires("billing:read")
    @blp.response(200, InvoiceSchema)
    @blp.raises(InvoiceNotFound)
    def get(self, invoice_id: UUID) -> Invoice:
        """Show an invoice or credit note"""
        return queries.get_invoice(invoice_id, reader_id=reader())


@blp.route("/ledger")
class BillingLedger(MethodView):
    """Every movement of money."""

    @requires("billing:read_all")
    @blp.listing(queries.BILLING_LEDGER, LedgerLineSchema)
    def get(self) -> Select[LedgerLine]:
        """List the lines of the ledger"""
        return queries.ledger_lines()


@blp.route("/events")
class ProviderEvents(MethodView):
    """The inbox."""

    @requires("billing:read_all")
    @blp.listing(queries.PROVIDER_EVENTS, ProviderEventSchema)
    def get(self) -> Select[ProviderEvent]:
        """List what providers have told, and what became of it"""
        return queries.provider_events()
