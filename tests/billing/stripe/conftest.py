"""The application with a small Stripe at its side, and orders that are paid there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from devforge_api.app import create_app
from devforge_api.billing.models import Interval, Order, OrderItem
from devforge_api.billing.service.providers.base import Checkout, CheckoutRequest, PriceToBuy
from devforge_api.billing.service.providers.stripe import StripeProvider
from devforge_api.core.db import db, unit_of_work, uuid7
from tests.billing.fake_stripe import SECRET_KEY, WEBHOOK_SECRET, FakeStripe, running
from tests.billing.fake_stripe_parts import Thing
from tests.billing.world import World
from tests.conftest import empty
from tests.factories import Api


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[FakeStripe]:
    """One Stripe for all tests."""
    with running() as found:
        yield found


@pytest.fixture
def fake(stripe_server: FakeStripe) -> FakeStripe:
    """A Stripe at which nothing has happened yet."""
    stripe_server.forget()
    return stripe_server


@pytest.fixture
def provider(fake: FakeStripe) -> StripeProvider:
    """The adapter alone, no application around it."""
    return StripeProvider(SECRET_KEY, webhook_secrets=(WEBHOOK_SECRET,), api_base=fake.address)


def settings(address: str) -> dict[str, str]:
    """What an application needs to be paid there."""
    return {
        "DEVFORGE_BILLING_PROVIDER": "stripe",
        "DEVFORGE_STRIPE_SECRET_KEY": SECRET_KEY,
        "DEVFORGE_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "DEVFORGE_STRIPE_API_BASE": address,
    }


@pytest.fixture(scope="session")
def stripe_app(stripe_server: FakeStripe, environ: dict[str, str]) -> Iterator[Flask]:
    """A second application on this column, made once: paid by Stripe."""
    made = create_app(environ | settings(stripe_server.address))
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def shop(app: Flask, stripe_app: Flask, fake: FakeStripe) -> Iterator[Api]:
    """The application, paid by Stripe, on an empty database."""
    yield Api(stripe_app)
    empty(stripe_app)


class Sale(World):
    """An order whose checkout stands at Stripe, and what happens to it there.

    :param more: amounts of further items, each of a policy of its own.
    """

    def __init__(
        self, api: Api, fake: FakeStripe, *, more: tuple[int, ...] = (), trial_days: int | None = None,
        **values: Any,
    ) -> None:  # fmt: skip
        super().__init__(api, **values)
        self.fake = fake
        self.provider: StripeProvider = api.app.extensions["devforge-payment-providers"]["stripe"]
        with api.app.app_context():
            interval = db.session.get_one(Order, self.order_id).interval
            with unit_of_work():
                for position, amount in enumerate(more, start=1):
                    self._add(position, amount, interval)
            items = db.session.query(OrderItem).filter_by(order_id=self.order_id).order_by("position").all()
        lines = tuple(
            (to_buy(item.price_id, amount=item.unit_amount, interval=interval), item.quantity)
            for item in items
        )
        self.request = CheckoutRequest(
            self.order_id, lines, trial_days, None, self.buyer.id, self.buyer.email,
            "https://shop.example/yes", "https://shop.example/no",
        )  # fmt: skip
        self.checkout: Checkout = self.provider.create_checkout(self.request)
        self.session = self.checkout.reference
        self.customer = str(self.checkout.customer_reference)
        with api.app.app_context(), unit_of_work():
            order = db.session.get_one(Order, self.order_id)
            order.provider, order.session_reference = "stripe", self.session
            order.amount = sum(price.amount * quantity for price, quantity in lines)
        fake.take_events()

    def _add(self, position: int, amount: int, interval: Interval) -> None:
        policy_id = self.api.policy()
        item = OrderItem(
            id=uuid7(), order_id=self.order_id, position=position, policy_id=policy_id, quantity=1,
            price_id=self.price(policy_id, interval=interval, amount=amount), unit_amount=amount,
            description="More",
        )  # fmt: skip
        db.session.add(item)

    @property
    def subscription_id(self) -> str:
        found: str = self.fake.get(self.session)["subscription"]
        return found

    def tell(self, *events: Thing) -> None:
        """Deliver events, all that are new unless some are given, and let them be acted upon."""
        for event in events or self.fake.take_events():
            answer = self.fake.deliver(self.api.app.test_client(), event)
            assert answer.status_code == 200, answer.json
        self.act()

    def act(self) -> None:
        """Let the outbox do what is due."""
        while self.api.deliver():
            pass

    def tell_badly(self, seed: int) -> None:
        """Deliver the new events twice, in some other order."""
        events = self.fake.take_events() * 2
        random.Random(seed).shuffle(events)
        self.tell(*events)


@pytest.fixture
def sell(shop: Api, fake: FakeStripe) -> Callable[..., Sale]:
    """Make an order; see `Sale` and `World`."""

    def make(**values: Any) -> Sale:
        return Sale(shop, fake, **values)

    return make


def to_buy(price_id: UUID | None = None, **values: Any) -> PriceToBuy:
    """A price of 59 dollars, once."""
    known: dict[str, Any] = {
        "reference": None,
        "name": "Pro",
        "amount": 5900,
        "currency": "USD",
        "interval": Interval.ONE_TIME,
    }
    return PriceToBuy(price_id or uuid7(), **known | values)


def request_for(*lines: tuple[PriceToBuy, int], **values: Any) -> CheckoutRequest:
    """A checkout of these lines."""
    known: dict[str, Any] = {
        "order_id": uuid7(),
        "lines": lines or ((to_buy(), 1),),
        "trial_days": None,
        "customer_reference": None,
        "user_id": uuid7(),
        "email": "ada@example.com",
        "success_url": "https://shop.example/yes?id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/no",
    }
    return CheckoutRequest(**known | values)
