"""What ``flask doctor`` says of billing."""

from __future__ import annotations

from datetime import timedelta

from devforge_api.billing.models import EventOutcome, RefundStatus
from devforge_api.core.clock import utc_now
from devforge_api.ops.doctor.billing import billing


def findings(app):
    with app.app_context():
        return [(one.health.value, one.seen) for one in billing()]


def test_an_installation_that_sells_nothing_is_well(app, monkeypatch):
    monkeypatch.setitem(app.config, "BILLING_PROVIDER", "none")
    ((health, seen),) = findings(app)
    assert (health, seen.split(":")[0]) == ("ok", "nothing can be bought")


def test_it_is_told_when_the_provider_was_heard_of_last(app, books, monkeypatch):
    monkeypatch.setitem(app.config, "BILLING_PROVIDER", "test")
    assert findings(app) == [("ok", "paid with test, which was heard of last: never")]
    books.event(outcome=EventOutcome.SETTLED)
    ((health, seen),) = findings(app)
    assert health == "ok"
    assert seen.endswith("Z")


def test_a_stripe_that_never_told_anything_is_looked_at(app, monkeypatch):
    monkeypatch.setitem(app.config, "BILLING_PROVIDER", "stripe")
    assert [health for health, _ in findings(app)] == ["ok", "warning"]


def test_what_waits_for_long_is_told_of(app, books, monkeypatch):
    monkeypatch.setitem(app.config, "BILLING_PROVIDER", "test")
    books.event()
    payment = books.payment(books.order())
    books.refund(payment, status=RefundStatus.REQUESTED, reference=None)
    assert len(findings(app)) == 1
    long_ago = utc_now() - timedelta(minutes=11)
    books.event(received_at=long_ago)
    books.refund(payment, status=RefundStatus.REQUESTED, reference=None, created_at=long_ago)
    warnings = [seen for health, seen in findings(app) if health == "warning"]
    assert [seen.split(" ")[:2] for seen in warnings] == [["1", "events"], ["1", "refunds"]]
