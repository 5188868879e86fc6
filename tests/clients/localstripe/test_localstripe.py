"""Plan-based subscriptions and signed webhooks of a Stripe that others have written."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from devforge_api.app import create_app
from devforge_api.billing.errors import ProviderRefused, ProviderUnavailable
from devforge_api.billing.models import (
    EventOutcome,
    Interval,
    Order,
    OrderStatus,
    PaymentStatus,
    ProviderEvent,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import OrderReferences, SessionState
from devforge_api.billing.service.providers.stripe import StripeProvider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.licenses.models import LicenseStatus
from tests.billing.world import World
from tests.clients.localstripe.conftest import KEY
from tests.factories import Api

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]

SECRET = "whsec_that_localstripe_signs_with"
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}


@pytest.fixture
def provider(localstripe):
    return StripeProvider(KEY, webhook_secrets=(SECRET,), api_base=localstripe.address)


def subscribe(localstripe, order_id, price_id):
    """A customer with a card, a plan, and a subscription to it that carries our ids."""
    customer = localstripe.post("/v1/customers", email="ada@example.com")["id"]
    method = localstripe.post("/v1/payment_methods", type="card", card=CARD)["id"]
    localstripe.post(f"/v1/payment_methods/{method}/attach", customer=customer)
    default = {"default_payment_method": method}
    localstripe.post(f"/v1/customers/{customer}", invoice_settings=default)
    plan = localstripe.post(
        "/v1/plans", amount=5900, currency="usd", interval="month", product={"name": "Pro"},
        metadata={"price_id": str(price_id)},
    )["id"]  # fmt: skip
    return localstripe.post(
        "/v1/subscriptions", customer=customer, items=[{"plan": plan}], metadata={"order_id": str(order_id)}
    )


def test_it_is_reached_from_this_machine_alone_and_keeps_its_file_here(localstripe, tmp_path):
    port = int(localstripe.address.rpartition(":")[2])
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    ]
    assert listening
    assert all(address.partition(":")[0].endswith("0100007F") for address in listening)
    localstripe.post("/v1/customers", email="ada@example.com")
    assert (tmp_path / "store").exists()


def test_a_plan_based_subscription_is_seen_refunded_and_ended(provider, localstripe):
    order_id, price_id = uuid7(), uuid7()
    reference = subscribe(localstripe, order_id, price_id)["id"]

    def look():
        return provider.look(OrderReferences(order_id, None, reference))

    seen = look()
    (payment,) = seen.payments
    assert (payment.status, payment.amount, payment.currency) == (PaymentStatus.PAID, 5900, "USD")
    assert payment.reference.startswith("in_")
    assert seen.session is SessionState.COMPLETE
    assert seen.subscription.status is SubscriptionStatus.ACTIVE
    assert seen.subscription.price_ids == (price_id,)
    assert seen.subscription.current_period_end == payment.period_end
    assert 27 <= (payment.period_end - utc_now()).days <= 31
    refund_id = uuid7()
    for _ in range(2):  # it knows no idempotency keys
        provider.refund(refund_id, payment.charge_reference, 900)
    (refund,) = look().refunds
    assert (refund.refund_id, refund.amount, refund.status) == (refund_id, 900, RefundStatus.SUCCEEDED)
    assert refund.charge_reference == payment.charge_reference
    provider.cancel(reference, at_period_end=True)
    assert look().subscription.cancel_at_period_end
    provider.resume(reference)
    assert not look().subscription.cancel_at_period_end
    provider.cancel(reference, at_period_end=False)
    seen = look().subscription
    assert (seen.status, seen.ended_at is None) == (SubscriptionStatus.CANCELED, False)


def test_what_it_does_not_know_is_a_refusal_or_unavailable(provider):
    with pytest.raises(ProviderRefused):
        provider.look(OrderReferences(uuid7(), None, "sub_unknown"))
    with pytest.raises((ProviderRefused, ProviderUnavailable)):
        provider.portal_url("cus_unknown", "https://shop.example")


@pytest.fixture
def served(app, environ, localstripe):
    """The application, paid by localstripe, which tells it of everything."""
    made = create_app(
        {
            **environ,
            "DEVFORGE_BILLING_PROVIDER": "stripe",
            "DEVFORGE_STRIPE_SECRET_KEY": KEY,
            "DEVFORGE_STRIPE_WEBHOOK_SECRET": SECRET,
            "DEVFORGE_STRIPE_API_BASE": localstripe.address,
        }
    )
    server = make_server("127.0.0.1", 0, made, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/api/v1/billing/webhooks/stripe"
    localstripe.post("/_config/webhooks/ours", url=url, secret=SECRET)
    yield Api(made)
    server.shutdown()
    thread.join()
    with made.app_context():
        db.engine.dispose()


def test_webhooks_that_it_signs_are_believed_and_acted_upon(served, localstripe):
    world = World(served, interval=Interval.MONTH)
    reference = subscribe(localstripe, world.order_id, world.price_id)["id"]
    with served.app.app_context(), unit_of_work():
        order = db.session.get_one(Order, world.order_id)
        order.provider, order.session_reference = "stripe", None  # it has no checkouts
        known = {"user_id": order.user_id, "provider": "stripe", "reference": reference}
        status = SubscriptionStatus.INCOMPLETE
        end = utc_now()
        db.session.add(Subscription(order_id=order.id, status=status, current_period_end=end, **known))
    act_until(served, "invoice.payment_succeeded", "customer.subscription.created")
    assert (world.order().status, world.license().status) == (OrderStatus.PAID, LicenseStatus.ACTIVE)
    assert world.balances() == {"provider": 5900, "revenue": -5900}
    provider = served.app.extensions["devforge-payment-providers"]["stripe"]
    provider.cancel(reference, at_period_end=False)
    act_until(served, "customer.subscription.deleted")
    with served.app.app_context():
        found = db.session.scalar(select(Subscription).where(Subscription.order_id == world.order_id))
        told = db.session.execute(select(ProviderEvent.kind, ProviderEvent.outcome)).all()
        outcomes = {kind: outcome for kind, outcome in told}  # noqa: C416 - rows are no pairs to mypy
    assert found.status is SubscriptionStatus.CANCELED
    assert len(world.licenses()) == 1
    assert outcomes["customer.subscription.deleted"] is EventOutcome.SETTLED
    assert outcomes["plan.created"] is EventOutcome.IGNORED


def act_until(api, *kinds):
    """Act upon what comes, until there was an event of each of these kinds."""
    deadline = time.monotonic() + 60
    while True:
        api.deliver()
        with api.app.app_context():
            handled = select(ProviderEvent.kind).where(ProviderEvent.outcome != EventOutcome.WAITING)
            missing = set(kinds) - set(db.session.scalars(handled))
        if not missing:
            return
        assert time.monotonic() < deadline, missing
        time.sleep(0.1)
