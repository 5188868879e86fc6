"""Prices: kept by the team, and shown to everybody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.billing import queries
from devforge_api.billing.errors import PriceImmutable, PriceInUse, PriceNotFound
from devforge_api.billing.models import Price
from devforge_api.billing.routes import blp
from devforge_api.billing.schemas.prices import OfferedProductSchema, PriceSchema, PricingQuerySchema
from devforge_api.billing.service import prices
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.examples import example_of
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import check_precondition, shaped
from devforge_api.core.security import public, requires

PRICING_MAX_AGE = 300  # seconds for which whoever likes may keep the price list
EXAMPLE = {
    "success": True,
    "data": [example_of(OfferedProductSchema())],
    "pagination": {"page": 1, "limit": 1, "total": 1, "pages": 1},
}


def _locked(price_id: UUID) -> Price:
    price = queries.get_price(price_id, for_update=True)
    check_precondition(price, PriceSchema())
    return price


@blp.route("/prices")
class Prices(MethodView):
    """All of them."""

    @requires("billing:read_all")
    @blp.listing(queries.PRICES, PriceSchema)
    def get(self) -> Select[Any]:
        """List prices, also those that are not on sale"""
        return queries.prices()

    @requires("billing:write")
    @blp.arguments(PriceSchema)
    @idempotent
    @blp.response(201, PriceSchema, location=lambda price: f"/api/v1/billing/prices/{price.id}")
    def post(self, data: dict[str, Any]) -> Price:
        """Make a price"""
        return prices.create(data)


@blp.route("/prices/<uuid:price_id>")
class OnePrice(MethodView):
    """One of them."""

    @requires("billing:read_all")
    @blp.response(200, PriceSchema)
    @blp.raises(PriceNotFound)
    def get(self, price_id: UUID) -> Price:
        """Show a price"""
        return queries.get_price(price_id)

    @requires("billing:write")
    @blp.arguments(PriceSchema)
    @blp.response(200, PriceSchema)
    @blp.raises(PriceNotFound, PriceImmutable, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], price_id: UUID) -> Price:
        """Replace a price, as far as it can change"""
        return prices.update(_locked(price_id), data)

    @requires("billing:write")
    @blp.arguments(PriceSchema(partial=True))
    @blp.response(200, PriceSchema)
    @blp.raises(PriceNotFound, PriceImmutable, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], price_id: UUID) -> Price:
        """Change part of a price, as taking it off sale"""
        return prices.update(_locked(price_id), data)

    @requires("billing:write")
    @blp.response(204)
    @blp.raises(PriceNotFound, PriceInUse, PreconditionFailed)
    @unit_of_work()
    def delete(self, price_id: UUID) -> None:
        """Delete a price at which nothing was bought"""
        prices.remove(_locked(price_id))


@blp.route("/pricing")
class Pricing(MethodView):
    """What is on sale."""

    @public()
    @blp.arguments(PricingQuerySchema, location="query")
    @blp.response(200, OfferedProductSchema(many=True), example=EXAMPLE)
    def get(self, query: dict[str, str]) -> Response:
        """List products with their prices, for everybody; may be kept for five minutes"""
        products: dict[UUID, dict[str, Any]] = {}
        for offer in queries.offers(query.get("currency")):
            product = products.setdefault(
                offer.product.id,
                {
                    "id": offer.product.id,
                    "code": offer.product.code,
                    "name": offer.product.name,
                    "prices": [],
                },
            )
            product["prices"].append(_offered(offer))
        found = list(products.values())
        page = {"page": 1, "limit": max(len(found), 1), "total": len(found), "pages": min(len(found), 1)}
        answer = shaped(found, OfferedProductSchema(many=True), pagination=page)
        answer.headers["Cache-Control"] = f"public, max-age={PRICING_MAX_AGE}"
        return answer


def _offered(offer: queries.Offer) -> dict[str, Any]:
    price, policy = offer.price, offer.policy
    return {
        "id": price.id,
        "policy_id": price.policy_id,
        "name": price.name,
        "amount": price.amount,
        "currency": price.currency,
        "interval": price.interval,
        "trial_days": price.trial_days,
        "entitlements": policy.entitlements,
        "max_machines": policy.max_machines,
    }
