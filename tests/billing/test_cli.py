"""``flask billing``: what people and scripts read, and give back."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from uuid import uuid4

import pytest

from devforge_api.billing.models import Account, EventOutcome, Interval, OrderStatus, RefundStatus
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.clock import utc_now
from tests.billing.world import COMPLETE, World


@pytest.fixture
def run(app):
    def billing(*arguments):
        return app.test_cli_runner().invoke(args=["billing", *map(str, arguments)])

    return billing


@pytest.fixture
def rows(run):
    def billing(*arguments):
        done = run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return billing


@pytest.fixture
def world(api, provider):
    found = World(api)
    provider.says(found, Snapshot(COMPLETE, (found.payment(),)))
    return found


def test_orders_are_listed_newest_first_and_filtered(api, books, run, rows):
    owner = api.person()
    first = books.order(owner, created_at=utc_now() - timedelta(days=9))
    second = books.order(status=OrderStatus.PENDING)
    assert [row["id"] for row in rows("orders")] == [str(second.id), str(first.id)]
    assert [row["id"] for row in rows("orders", "--status", "pending")] == [str(second.id)]
    assert [row["id"] for row in rows("orders", "--user", owner.id)] == [str(first.id)]
    assert [row["id"] for row in rows("orders", "--since", "7d")] == [str(second.id)]
    assert [row["id"] for row in rows("orders", "--limit", 1)] == [str(second.id)]
    (row,) = rows("orders", "--user", owner.id)
    assert (row["amount"], row["currency"], row["items"]) == (5900, "USD", "1 Pro")
    shown = run("orders").output
    assert "59.00 USD" in shown
    assert run("orders", "--status", "lost").exit_code == 2


def test_an_order_is_shown_with_everything_but_keys(api, books, run, rows):
    owner = api.person()
    order = books.order(owner, [(books.price(interval=Interval.MONTH), 1)], licensed=True)
    payment = books.payment(order)
    books.refund(payment, amount=100)
    subscription = books.subscription(order, cancel_at_period_end=True)
    (row,) = rows("order", order.id)
    assert [one["amount"] for one in row["payments"]] == [5900]
    assert [one["amount"] for one in row["refunds"]] == [100]
    assert row["subscription"].startswith(f"{subscription.id}: active")
    assert row["subscription"].endswith("ends with its period")
    key = api.get("/licenses", by=owner).json["data"][0]["key"]
    assert row["licenses"][0]["key"] == f"…{key[-6:]}"
    shown = run("order", order.id).output
    assert key not in shown
    assert "Bought twice." in shown


def test_an_order_that_is_not_there_ends_with_one_line(run):
    done = run("order", uuid4())
    assert (done.exit_code, done.output.strip()) == (1, "Error: There is no such order. (ORDER_NOT_FOUND)")
    assert run("order", "mine").exit_code == 2


def test_events_and_prices_are_listed(books, rows):
    price = books.price(trial_days=7, interval=Interval.YEAR)
    books.price(active=False)
    order = books.order(None, [(price, 1)])
    event = books.event(order_id=order.id, outcome=EventOutcome.SETTLED)
    books.event()
    (row,) = rows("events", "--outcome", "settled")
    assert (row["event_id"], row["order_id"]) == (event.event_id, str(order.id))
    assert "payload" not in row
    assert len(rows("events")) == 2
    assert len(rows("events", "--order", order.id)) == 1
    (row,) = rows("prices")
    assert (row["interval"], row["trial_days"], row["amount"]) == ("year", 7, 5900)
    assert len(rows("prices", "--all")) == 2


def test_a_refund_is_rehearsed_and_made(app, api, world, run, rows, provider):
    args = ("refund", world.order_id, "--reason", "Bought twice.")
    (row,) = rows(*args, "--dry-run")
    assert (row["amount"], row["status"]) == (5900, "would be requested")
    assert rows("order", world.order_id)[0]["refunds"] == []
    (row,) = rows(*args, "--amount", 900)
    assert (row["amount"], row["status"]) == (900, "succeeded")
    assert world.balances() == {"provider": 5000, "refunds": 900, "revenue": -5900}
    done = run(*args, "--amount", 5001)
    assert (done.exit_code, "REFUND_TOO_LARGE" in done.output) == (1, True)
    done = run(*args, "--amount", 5001, "--dry-run")
    assert (done.exit_code, "REFUND_TOO_LARGE" in done.output) == (1, True)
    events = api.get("/audit/events?action=refund.requested", by=api.admin()).json["data"]
    assert [(event["actor_kind"], event["actor_id"]) for event in events] == [("cli", None)]
    assert len(provider.asked_for("refund")) == 1


def test_a_refused_refund_ends_with_code_1(world, run, provider):
    provider.refusal = "Too old."
    done = run("refund", world.order_id, "--reason", "Why not.")
    assert done.exit_code == 1
    assert "Too old." in done.output


def test_a_refund_that_waits_for_its_provider_says_so(api, app, world, run, provider):
    provider.away = True
    done = run("refund", world.order_id, "--reason", "Why not.")
    assert (done.exit_code, "requested" in done.output) == (0, True)
    assert "The server repeats it." in done.output
    provider.away = False
    api.deliver()
    refunds = api.get("/billing/refunds", by=api.admin()).json["data"]
    assert [refund["status"] for refund in refunds] == [RefundStatus.SUCCEEDED]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--reason", ""], 1),
        (["--reason", "x" * 501], 1),
        (["--reason", "x", "--amount", "0"], 2),
        (["--reason", "x", "--amount", "1.5"], 2),
        (["--reason", "x", "--payment", "mine"], 2),
    ],
)
def test_a_refund_that_is_not_said_properly_is_none(world, run, provider, arguments, code):
    done = run("refund", world.order_id, *arguments)
    assert done.exit_code == code
    assert "Traceback" not in done.output
    assert provider.asked_for("refund") == []


def test_the_report_is_a_table_json_or_csv(books, run, rows):
    order = books.order(None, [(books.price(amount=1000, currency="JPY"), 1)])
    lines = {Account.PROVIDER: 1000, Account.REVENUE: -1000}
    books.posting("payment:1", order, lines, at=utc_now())
    today = utc_now().date().isoformat()
    total, product, day = rows("report", "--from", today, "--to", today)
    assert (total["gross"], total["orders"], product["of"], day["name"]) == (1000, 1, "product", today)
    assert "1000 JPY" in run("report").output
    found = list(csv.DictReader(io.StringIO(run("report", "--csv").output)))
    assert [row["gross"] for row in found] == ["1000"] * 3
    assert rows("report", "--currency", "usd") == []
    assert len(rows("report", "--currency", "jpy")) == 3
    assert run("report", "--from", "2026-03-02", "--to", "2026-03-01").exit_code == 1
    assert run("report", "--from", "soon").exit_code == 2
