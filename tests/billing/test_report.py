"""The report says what a slow and obvious reading of the rows says."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import select

from devforge_api.billing.models import (
    Account,
    Interval,
    LedgerLine,
    Order,
    OrderItem,
    OrderStatus,
    Price,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service.report import split
from devforge_api.core.db import db
from devforge_api.licenses.models import Product

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
PAYING = {SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE}


def at(day: str, clock: str = "12:00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


@pytest.fixture
def support(api):
    return api.person(role="support")


@pytest.fixture
def ask(api, support):
    def report(query="from=2026-03-01&to=2026-03-31"):
        answer = api.get(f"/billing/report?{query}", by=support)
        assert answer.status_code == 200, answer.json
        return answer.json["data"]

    return report


@pytest.fixture
def sell(books):
    """An order with its payment in the ledger at a moment."""

    def sold(moment, prices, *, paid_at=None, **values):
        order = books.order(None, prices, paid_at=paid_at or moment, **values)
        amount = order.amount
        lines = {Account.PROVIDER: amount, Account.REVENUE: -amount}
        books.posting(f"payment:{order.id}", order, lines, at=moment)
        return order

    return sold


def give_back(books, order, amount, moment, account=Account.REFUNDS):
    books.posting(f"{account}:{order.id}", order, {Account.PROVIDER: -amount, account: amount}, at=moment)


def test_days_are_whole_days_in_utc_and_both_ends_are_included(ask, books, sell):
    price = books.price(amount=100)
    for moment in [
        at("2026-02-28", "23:59:59.999999"),
        at("2026-03-01", "00:00:00"),
        at("2026-03-31", "23:59:59.999999"),
        at("2026-04-01", "00:00:00"),
    ]:
        sell(moment, [(price, 1)])
    (found,) = ask()["currencies"]
    assert (found["gross"], found["orders"]) == (200, 2)
    assert [day["day"] for day in found["days"]] == ["2026-03-01", "2026-03-31"]
    (one,) = ask("from=2026-03-31&to=2026-03-31")["currencies"]
    assert one["gross"] == 100


def test_what_went_back_and_what_banks_hold_is_taken_off(ask, books, sell):
    order = sell(at("2026-03-02"), [(books.price(amount=1000), 1)])
    give_back(books, order, 300, at("2026-03-03"))
    give_back(books, order, 200, at("2026-03-04"), Account.DISPUTES)
    (found,) = ask()["currencies"]
    assert [found[name] for name in ("gross", "refunds", "disputes", "net")] == [1000, 300, 200, 500]
    assert [(day["day"], day["net"]) for day in found["days"]] == [
        ("2026-03-02", 1000),
        ("2026-03-03", -300),
        ("2026-03-04", -200),
    ]


def test_an_order_of_two_products_is_divided_to_the_last_cent(ask, books, sell):
    cheap, dear = books.price(amount=333), books.price(amount=667)
    order = sell(at("2026-03-02"), [(cheap, 1), (dear, 1)])
    give_back(books, order, 101, at("2026-03-03"))
    (found,) = ask()["currencies"]
    parts = {one["product_id"]: one for one in found["products"]}
    assert parts[str(cheap.product_id)]["gross"] == 333
    assert parts[str(dear.product_id)]["gross"] == 667
    assert sum(one["refunds"] for one in parts.values()) == 101
    assert {one["refunds"] for one in parts.values()} == {34, 67}


def test_a_year_counts_a_twelfth_each_month_and_trials_nothing(ask, books):
    yearly = books.price(amount=10_000, interval=Interval.YEAR)
    monthly = books.price(amount=900, interval=Interval.MONTH)
    for price, quantity, status in [
        (yearly, 1, SubscriptionStatus.ACTIVE),
        (yearly, 1, SubscriptionStatus.ACTIVE),
        (monthly, 3, SubscriptionStatus.PAST_DUE),
        (monthly, 1, SubscriptionStatus.TRIALING),
        (monthly, 1, SubscriptionStatus.PAUSED),
        (monthly, 1, SubscriptionStatus.CANCELED),
    ]:
        order = books.order(None, [(price, quantity)], paid_at=at("2026-01-01"))
        books.subscription(order, status=status, created_at=at("2026-01-01"))
    (found,) = ask()["currencies"]
    assert found["active_subscriptions"] == 3
    assert found["monthly_recurring_revenue"] == 2700 + 1667  # 20,000 / 12 = 1,666.67
    assert found["new_subscriptions"] == 0
    assert ask("from=2026-01-01&to=2026-01-01")["currencies"][0]["new_subscriptions"] == 6


def test_currencies_stand_apart_and_one_can_be_asked_for(ask, books, sell):
    sell(at("2026-03-02"), [(books.price(amount=100), 1)])
    sell(at("2026-03-02"), [(books.price(amount=700, currency="EUR"), 1)])
    assert [(one["currency"], one["gross"]) for one in ask()["currencies"]] == [("EUR", 700), ("USD", 100)]
    only = ask("from=2026-03-01&to=2026-03-31&currency=USD")["currencies"]
    assert [one["currency"] for one in only] == ["USD"]
    assert ask("from=2026-03-01&to=2026-03-31&currency=usd")["currencies"] == only
    assert ask("from=2026-03-01&to=2026-03-31&currency=GBP")["currencies"] == []


def reference(first: date, last: date) -> dict[str, dict[str, object]]:
    """The slow and obvious way: every row, one at a time."""
    prices = {price.id: price for price in db.session.scalars(select(Price))}
    orders = {order.id: order for order in db.session.scalars(select(Order))}
    items: dict[object, list[OrderItem]] = {}
    for item in db.session.scalars(select(OrderItem).order_by(OrderItem.position)):
        items.setdefault(item.order_id, []).append(item)
    found: dict[str, dict[str, object]] = {}

    def of(code):
        blank = {"gross": 0, "refunds": 0, "disputes": 0, "orders": 0, "begun": 0, "ended": 0, "active": 0}
        return found.setdefault(code, {**blank, "mrr": Fraction(), "days": {}, "products": {}})

    def within(moment):
        return moment is not None and first <= moment.astimezone(UTC).date() <= last

    names = {
        Account.REVENUE: ("gross", -1),
        Account.REFUNDS: ("refunds", 1),
        Account.DISPUTES: ("disputes", 1),
    }
    for line in db.session.scalars(select(LedgerLine)):
        if not within(line.created_at) or line.account not in names:
            continue
        name, sign = names[line.account]
        amount, one = sign * line.amount, of(line.currency)
        one[name] += amount
        day = one["days"].setdefault(line.created_at.date().isoformat(), {})
        day[name] = day.get(name, 0) + amount
        whole = sum(item.quantity * item.unit_amount for item in items[line.order_id])
        for item in items[line.order_id]:
            products = one["products"].setdefault(prices[item.price_id].product_id, {})
            part = Fraction(amount * item.quantity * item.unit_amount, whole)
            products[name] = products.get(name, Fraction()) + part
    for order in orders.values():
        if within(order.paid_at):
            of(order.currency)["orders"] += 1
    for subscription in db.session.scalars(select(Subscription)):
        order = orders[subscription.order_id]
        one = None
        if within(subscription.created_at):
            of(order.currency)["begun"] += 1
        if within(subscription.ended_at):
            of(order.currency)["ended"] += 1
        if subscription.status in PAYING:
            one = of(order.currency)
            one["active"] += 1
            for item in items[order.id]:
                price = prices[item.price_id]
                share = 12 if price.interval is Interval.YEAR else 1
                one["mrr"] += Fraction(item.quantity * price.amount, share)
    return found


def populate(api, books, sell, seed):
    rng = random.Random(seed)
    prices: dict[tuple[str, Interval], list[Price]] = {}
    for code in ("USD", "EUR", "JPY"):
        for interval in (Interval.ONE_TIME, Interval.MONTH, Interval.YEAR):
            values = {"currency": code, "interval": interval}
            prices[code, interval] = [books.price(amount=rng.randint(1, 9999), **values) for _ in range(2)]
    begin = at("2026-02-20", "00:00:00")
    for _ in range(40):
        key = rng.choice(sorted(prices))
        bought = [(price, rng.randint(1, 3)) for price in rng.sample(prices[key], rng.choice((1, 1, 2)))]
        moment = begin + timedelta(seconds=rng.randint(0, 50 * 86_400))
        order = sell(moment, bought, status=OrderStatus.PAID)
        if rng.random() < 0.4:
            back = moment + timedelta(days=rng.randint(0, 9), microseconds=1)
            kind = rng.choice((Account.REFUNDS, Account.DISPUTES))
            give_back(books, order, rng.randint(1, order.amount), back, kind)
        if key[1] is not Interval.ONE_TIME:
            status = rng.choice(list(SubscriptionStatus))
            ended = status is SubscriptionStatus.CANCELED
            later = moment + timedelta(days=rng.randint(1, 20))
            values = {"status": status, "created_at": moment, "ended_at": later if ended else None}
            books.subscription(order, **values)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_report_agrees_with_reading_every_row(app, api, ask, books, sell, seed):
    populate(api, books, sell, seed)
    shown = {one["currency"]: one for one in ask()["currencies"]}
    with app.app_context():
        wanted = reference(FIRST, LAST)
        codes = {row.id: row.code for row in db.session.scalars(select(Product))}
    assert set(shown) == set(wanted)
    for code, one in wanted.items():
        told = shown[code]
        for name in ("gross", "refunds", "disputes", "orders"):
            assert told[name] == one[name], (code, name)
        assert told["net"] == one["gross"] - one["refunds"] - one["disputes"]
        assert (told["new_subscriptions"], told["ended_subscriptions"]) == (one["begun"], one["ended"])
        assert told["active_subscriptions"] == one["active"]
        assert abs(told["monthly_recurring_revenue"] - one["mrr"]) <= Fraction(1, 2)
        assert {day["day"] for day in told["days"]} == set(one["days"])
        for day in told["days"]:
            for name in ("gross", "refunds", "disputes"):
                assert day[name] == one["days"][day["day"]].get(name, 0)
        assert [product["code"] for product in told["products"]] == sorted(
            codes[key] for key in one["products"]
        )
        mixed = 40  # each mixed order's line is rounded by less than one
        for name in ("gross", "refunds", "disputes"):
            assert sum(product[name] for product in told["products"]) == told[name]
            for product in told["products"]:
                exact = next(v for k, v in one["products"].items() if str(k) == product["product_id"])
                assert abs(product[name] - exact.get(name, 0)) < mixed


@pytest.mark.parametrize("amount", [0, 1, 2, 99, 100, -1, -101, 10**15 + 1])
def test_parts_sum_to_the_whole_whatever_the_weights(amount):
    keys = sorted(f"{number:032x}" for number in range(7))
    for weights in (
        [1] * 7,
        [0] * 7,
        [1, 2, 3, 4, 5, 6, 7],
        [0, 0, 0, 1, 0, 0, 0],
        [10**14, 1, 1, 1, 1, 1, 1],
    ):
        parts = split(amount, dict(zip(keys, weights, strict=True)))
        assert sum(parts.values()) == amount
        whole = sum(weights)
        for key, weight in zip(keys, weights, strict=True):
            exact = Fraction(amount * weight, whole) if whole else Fraction(amount, 7)
            assert abs(parts[key] - exact) < 1


def test_the_number_of_queries_depends_on_nothing(api, support, books, sell, count_queries):
    def cost():
        with count_queries() as seen:
            assert api.get("/billing/report?from=2026-01-01&to=2026-12-31", by=support).status_code == 200
        return len(seen)

    sell(at("2026-03-02"), [(books.price(), 1), (books.price(), 1)])
    cost()
    few = cost()
    populate(api, books, sell, 3)
    assert cost() <= few <= 11


def test_a_spreadsheet_gets_the_same_without_formulas(api, support, books, sell):
    price = books.price(amount=1000)
    with api.app.app_context():
        code = db.session.get(Product, price.product_id).code
    evil = {"name": '=HYPERLINK("http://evil.example")', "code": code}
    assert api.put(f"/products/{price.product_id}", evil, by=api.admin()).status_code == 200
    order = sell(at("2026-03-02"), [(price, 1)])
    give_back(books, order, 1500, at("2026-03-03"))
    answer = api.get("/billing/report.csv?from=2026-03-01&to=2026-03-31", by=support)
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert "report-2026-03-01-2026-03-31.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["of"], row["name"], row["net"]) for row in rows] == [
        ("total", "", "-500"),
        ("product", "'" + evil["name"], "-500"),
        ("day", "2026-03-02", "1000"),
        ("day", "2026-03-03", "-1500"),
    ]
    assert (rows[0]["orders"], rows[1]["orders"]) == ("1", "")


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-02&to=2026-03-01",
        "from=2010-01-01&to=2026-03-01",
        "from=soon",
        "from=2026-3-1",
        "from=2026-02-30",
        "to=9999-01-01",
        "currency=DOLLARS",
        "group=day",
    ],
)
def test_nonsense_is_refused(api, support, query):
    for path in ("report", "report.csv"):
        assert api.get(f"/billing/{path}?{query}", by=support).status_code == 422, query


def test_the_report_is_for_the_team(api):
    for path in ("report", "report.csv"):
        assert api.get(f"/billing/{path}", by=api.person()).status_code == 403
    shown = api.get("/billing/report", by=api.admin()).json["data"]
    assert shown["from"].endswith("-01")
    assert shown["currencies"] == []
