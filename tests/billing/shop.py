"""A shop in a line each: prices, checkouts, and what a payer does on the built-in provider's page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from werkzeug.test import TestResponse

from devforge_api.billing.models import Order, OrderItem, OrderLicense, OrderStatus
from devforge_api.core.db import db
from devforge_api.licenses.models import License
from tests.factories import Api, Person


class Shop:
    """Of one application; its prices are 5900 USD once unless said otherwise."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.admin = api.admin()

    def price(self, policy_id: UUID | None = None, **values: Any) -> str:
        """The id of a price that was made through the API."""
        body = {
            "policy_id": str(policy_id or self.api.policy()),
            "amount": 5900,
            "currency": "USD",
            "interval": "one_time",
            **values,
        }
        made = self.api.post("/billing/prices", body, by=self.admin)
        assert made.status_code == 201, made.json
        return str(made.get_json()["data"]["id"])

    def checkout(self, buyer: Person, *price_ids: str, quantity: int = 1, **values: Any) -> dict[str, Any]:
        """What a checkout answers."""
        headers = values.pop("headers", {})
        items = [{"price_id": price_id, "quantity": quantity} for price_id in price_ids]
        made = self.api.post("/billing/checkout", {"items": items, **values}, by=buyer, headers=headers)
        assert made.status_code == 201, made.json
        data: dict[str, Any] = made.get_json()["data"]
        return data

    def refused(self, buyer: Person, *price_ids: str, **values: Any) -> TestResponse:
        """A checkout that is not to be."""
        items = [{"price_id": price_id} for price_id in price_ids]
        return self.api.post("/billing/checkout", {"items": items, **values}, by=buyer)

    def path(self, url: str) -> str:
        """An address of this server, without its origin."""
        public: str = self.api.app.config["PUBLIC_URL"]
        assert url.startswith(f"{public}/"), url
        return url.removeprefix(public)

    def open(self, url: str, method: str = "GET", **kwargs: Any) -> TestResponse:
        """Open a page of ours, as a browser that has never been here."""
        kwargs.setdefault("headers", {"Accept": "text/html,*/*;q=0.8"})
        return self.api.app.test_client().open(self.path(url), method=method, **kwargs)

    def decide(self, made: dict[str, Any], deed: str, **kwargs: Any) -> TestResponse:
        """Press a button on the provider's page."""
        return self.open(f"{made['checkout_url']}/{deed}", "POST", **kwargs)

    def simulate(self, order_id: str, deed: str) -> Any:
        """``flask billing simulate``."""
        return self.api.app.test_cli_runner().invoke(args=["billing", "simulate", order_id, deed])

    # --- what has become of it -----------------------------------------------------------------
    def order(self, order_id: str) -> Order:
        with self.api.app.app_context():
            return db.session.get_one(Order, UUID(order_id))

    def status(self, made: dict[str, Any]) -> OrderStatus:
        return self.order(made["order_id"]).status

    def licenses(self, order_id: str) -> list[License]:
        with self.api.app.app_context():
            mine = (
                select(License)
                .join(OrderLicense, OrderLicense.license_id == License.id)
                .join(OrderItem, OrderItem.id == OrderLicense.item_id)
                .where(OrderItem.order_id == UUID(order_id))
            )
            return list(db.session.scalars(mine))
