"""``flask billing ledger check``: whatever is wrong with the books is found."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from devforge_api.billing.models import (
    Account,
    Dispute,
    DisputeStatus,
    Interval,
    Invoice,
    InvoiceKind,
    LedgerLine,
    Payment,
    Refund,
    RefundStatus,
)
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.billing.world import COMPLETE, World, disputed, refunded


@pytest.fixture
def check(app):
    def run(*arguments):
        return app.test_cli_runner().invoke(args=["billing", "ledger", "check", *arguments])

    return run


@pytest.fixture
def told(check):
    """What is wrong, each without its ids."""

    def run():
        done = check("--json")
        found = [row["problem"] for row in json.loads(done.output)]
        assert done.exit_code == (1 if found else 0)
        return found

    return run


@pytest.fixture
def write(app):
    """Change the books behind everybody's back."""

    def run(*statements):
        with app.app_context(), db.engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    return run


LINES, INVOICES = LedgerLine.__table__, Invoice.__table__


@pytest.fixture
def world(api, provider):
    """Paid, partly given back, disputed and won; and a subscription beside it."""
    found = World(api)
    provider.says(found, refunded(Snapshot(COMPLETE, (found.payment(),)), amount=900))
    provider.says(found, disputed(provider.snapshots[found.order_id], amount=500))
    provider.says(found, disputed(provider.snapshots[found.order_id], amount=500, status=DisputeStatus.WON))
    other = World(api, interval=Interval.MONTH)
    periods = (other.period(0), other.period(1))
    provider.says(other, Snapshot(COMPLETE, periods, subscription=other.subscription(periods=2)))
    return found


def test_books_that_were_kept_by_settling_are_in_order(check, told, world):
    assert told() == []
    done = check()
    assert (done.exit_code, done.output.strip()) == (0, "The books are in order.")


def test_empty_books_are_in_order(told):
    assert told() == []


def test_a_refund_that_has_come_back_is_in_order(told, world, provider):
    seen = provider.snapshots[world.order_id]
    failed = Snapshot(seen.session, seen.payments, disputes=seen.disputes)
    provider.says(world, refunded(failed, amount=900, status=RefundStatus.FAILED))
    assert told() == []


def test_a_line_that_is_missing_or_changed_is_found(told, world, write):
    write(delete(LINES).where(LINES.c.posting.like("payment:%"), LINES.c.account == Account.PROVIDER))
    found = told()
    assert len([one for one in found if "sums to -5900 USD instead of zero" in one]) == 3
    assert len([one for one in found if one.endswith("is not in the ledger")]) == 3
    write(delete(LINES))
    found = told()
    assert len([one for one in found if one.startswith("payment:")]) == 3
    assert len([one for one in found if one.startswith("refund:")]) == 1


def test_an_amount_that_differs_is_found(told, world, write):
    write(update(LINES).where(LINES.c.posting.like("refund:%")).values(amount=LINES.c.amount * 2))
    (problem,) = told()
    assert problem.endswith("stands in the ledger with -1800 instead of -900")


@pytest.mark.parametrize(
    ("table", "values", "words"),
    [
        (Refund, {"status": RefundStatus.FAILED}, "refund_failed:"),
        (Dispute, {"status": DisputeStatus.LOST, "amount": 600}, "is not in the ledger"),
        (Payment, {"amount": 6000}, "5900 instead of 6000"),
    ],
)
def test_rows_that_the_ledger_does_not_know_of_are_found(told, world, write, table, values, words):
    write(update(table.__table__).values(values))
    found = told()
    assert found
    assert all(words in one for one in found)


def test_a_dispute_whose_money_never_came_back_is_found(told, world, write):
    write(delete(LINES).where(LINES.c.posting.like("dispute_won:%")))
    (problem,) = told()
    assert problem.startswith("dispute_won:")


def test_a_number_that_is_missing_is_found(told, world, write):
    write(delete(INVOICES).where(INVOICES.c.number == 2))
    found = told()
    assert "invoice 3 follows 1: numbers are missing" in found
    write(delete(INVOICES).where(INVOICES.c.number == 1))
    assert "invoice 3 follows nothing: numbers are missing" in told()


def test_a_payment_without_its_invoice_is_found(told, world, write):
    write(delete(INVOICES).where(INVOICES.c.number == 4))
    (problem,) = told()
    assert problem.startswith("payment ")
    assert problem.endswith("has no invoice")


def test_a_refund_without_its_credit_note_is_found(told, world, write):
    kind = INVOICES.c.kind == InvoiceKind.CREDIT_NOTE
    write(delete(INVOICES).where(kind))
    found = told()
    assert any(one.endswith("has no credit note") for one in found)


def test_pages_are_read_to_the_end(told, app, books, monkeypatch):
    monkeypatch.setattr("devforge_api.billing.service.checking.PAGE", 2)
    order = books.order()
    payments = [books.payment(order) for _ in range(5)]
    assert len([one for one in told() if one.endswith("is not in the ledger")]) == len(payments)


def test_the_ledger_refuses_to_be_changed(app, world):
    with app.app_context():
        for statement in (
            update(LedgerLine).values(amount=1),
            delete(LedgerLine).where(LedgerLine.created_at < utc_now() + timedelta(days=1)),
        ):
            with pytest.raises(RuntimeError, match="appended"), unit_of_work():
                db.session.execute(statement)
