"""Buying: a checkout, its end, and the portal where customers manage what they have."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from flask import current_app
from flask.views import MethodView

from devforge_api.billing import queries
from devforge_api.billing.errors import (
    BillingNotConfigured,
    NoCustomer,
    OrderNotFound,
    OrderNotPending,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
)
from devforge_api.billing.models import OrderStatus
from devforge_api.billing.providers import configured, find_provider, present_provider
from devforge_api.billing.routes import blp
from devforge_api.billing.routes.shared import asking_provider
from devforge_api.billing.schemas.checkout import (
    CheckoutCreateSchema,
    CheckoutSchema,
    OrderStatusSchema,
    PortalCreateSchema,
    PortalSchema,
)
from devforge_api.billing.service import checkout, customers, looking
from devforge_api.billing.service.providers.base import Provider
from devforge_api.billing.service.return_urls import ReturnUrls
from devforge_api.core.clock import utc_now
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work, uuid7
from devforge_api.core.idempotency import idempotent_outside
from devforge_api.core.responses import carries_secret
from devforge_api.core.schemas import EmptySchema
from devforge_api.core.security import requires
from devforge_api.core.slots import lend_slot


def return_urls() -> ReturnUrls:
    """Where this installation lets payers return."""
    return ReturnUrls(current_app.config["PUBLIC_URL"], current_app.config["BILLING_RETURN_URLS"])


@blp.route("/checkout")
class Checkouts(MethodView):
    """Pages to pay on."""

    @requires("billing:manage")
    @blp.arguments(CheckoutCreateSchema)
    @idempotent_outside
    @blp.response(201, CheckoutSchema, location=lambda made: f"/api/v1/billing/orders/{made['order_id']}")
    @blp.raises(BillingNotConfigured, ProviderRefused, ProviderUnavailable, OrderNotPending)
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Make an order, and open a page where it is paid"""
        provider, order_id, urls = present_provider(), uuid7(), return_urls()
        success_url = urls.chosen("success_url", data["success_url"], order_id)
        cancel_url = urls.chosen("cancel_url", data["cancel_url"], order_id)
        with unit_of_work():
            request = checkout.begin(
                order_id,
                user_id=principal().user_id,
                wanted=[(item["price_id"], item["quantity"]) for item in data["items"]],
                success_url=success_url,
                cancel_url=cancel_url,
                provider=provider.name,
                return_urls=urls,
            )
        try:
            with lend_slot():
                opened = provider.create_checkout(request)
        except (ProviderRefused, ProviderUnavailable):
            with suppress(OrderNotPending), unit_of_work():
                checkout.cancel_unreached(queries.lock_order(order_id))
            raise
        with unit_of_work():
            order = checkout.attach(order_id, opened)
        if order.status is not OrderStatus.PENDING:  # its buyer has changed their mind
            with lend_slot():
                provider.expire_checkout(opened.reference)
            raise OrderNotPending(None, status=order.status.value)
        return {"checkout_url": opened.url, "session_id": opened.reference, "order_id": order_id}


@blp.route("/orders/<uuid:order_id>/cancel")
class OrderCancel(MethodView):
    """The end of an order that was not paid."""

    @requires("billing:manage")
    @blp.arguments(EmptySchema)
    @blp.response(200, OrderStatusSchema)
    @blp.raises(OrderNotFound, OrderNotPending, ProviderNotFound, ProviderRefused, ProviderUnavailable)
    def post(self, _: dict[str, Any], order_id: UUID) -> dict[str, Any]:
        """Close the page of one's own order that is not paid; again does no harm"""
        with unit_of_work():
            order = queries.lock_order(order_id, user_id=principal().user_id)
            if order.status is OrderStatus.PENDING and order.session_reference is None:
                checkout.cancel_unreached(order)
        status = order.status
        if status is OrderStatus.PENDING and order.session_reference is not None:
            provider = find_provider(order.provider)
            with lend_slot():
                provider.expire_checkout(order.session_reference)
                settle = looking.look(provider, order_id)
            with unit_of_work():
                status = settle(utc_now()).status
        if status is not OrderStatus.CANCELED:
            raise OrderNotPending(None, status=status.value)
        return {"id": order_id, "status": status}


@blp.route("/portal")
class Portal(MethodView):
    """The provider's pages for customers."""

    @requires("billing:manage")
    @blp.arguments(PortalCreateSchema)
    @blp.response(200, PortalSchema)
    @blp.raises(NoCustomer, ProviderRefused, ProviderUnavailable)
    def post(self, data: dict[str, Any]) -> dict[str, str]:
        """Open the page where one manages cards, invoices and subscriptions"""
        return_url = return_urls().for_portal(data["return_url"])
        provider, reference = _customer(principal().user_id)
        carries_secret()
        with asking_provider():
            return {"url": provider.portal_url(reference, return_url)}


def _customer(user_id: UUID) -> tuple[Provider, str]:
    """Who knows the user as a customer: first whoever takes orders now.

    :raises NoCustomer: nobody does.
    """
    present = current_app.config["BILLING_PROVIDER"]
    for name, provider in sorted(configured().items(), key=lambda item: item[0] != present):
        reference = customers.reference_of(user_id, name)
        if reference is not None:
            return provider, reference
    raise NoCustomer
