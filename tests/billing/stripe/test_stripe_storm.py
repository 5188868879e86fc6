"""Webhooks of many orders, doubled, in no order, by several senders to several workers at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import func, select

from devforge_api.billing.models import (
    EventOutcome,
    Interval,
    Invoice,
    InvoiceKind,
    LedgerLine,
    Order,
    OrderItem,
    OrderLicense,
    Payment,
    PaymentStatus,
    ProviderEvent,
    Refund,
)
from devforge_api.billing.service.looking import look_and_settle
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from devforge_api.licenses.models import License
from tests.billing.stripe.conftest import Sale

TELLERS = WORKERS = 4


def once(sale: Sale, chance: random.Random) -> list[Callable[[], Any]]:
    """What happens to an order that is paid once."""
    fake = sale.fake
    steps = [[lambda: fake.pay(sale.session)], [paid_later(sale)]][chance.random() < 0.3]
    more: list[Callable[[], Any]] = [
        lambda: fake.refund(sale.session, 100),
        lambda: fake.turn_refund(fake.refund(sale.session, 50)["id"]),
        lambda: fake.close_dispute(fake.dispute(sale.session)["id"], chance.choice(["won", "lost"])),
    ]
    return [*steps, *chance.sample(more[:2], 2), *more[2:]][: chance.randint(1, 4)]


def paid_later(sale: Sale) -> Callable[[], Any]:
    def happen() -> None:
        sale.fake.pay(sale.session, later=True)
        sale.fake.money_comes(sale.session)

    return happen


def monthly(sale: Sale, chance: random.Random) -> list[Callable[[], Any]]:
    """What happens to a subscription."""
    fake = sale.fake

    def newest() -> str:
        found: str = fake.get(sale.subscription_id)["latest_invoice"]
        return found

    def late() -> None:
        fake.renew(sale.subscription_id, declined=True)
        fake.recover(sale.subscription_id)

    def rest() -> None:
        fake.turn(sale.subscription_id, "paused")
        fake.resume(sale.subscription_id)

    more: list[Callable[[], Any]] = [
        lambda: fake.renew(sale.subscription_id),
        late,
        rest,
        lambda: fake.refund(newest(), 100),
        lambda: fake.turn_refund(fake.refund(newest(), 50)["id"]),
        lambda: fake.close_dispute(fake.dispute(newest())["id"], "won"),
        lambda: fake.renew(sale.subscription_id),
    ]
    chance.shuffle(more)
    ends: list[Callable[[], Any]] = [lambda: fake.cancel(sale.subscription_id)] * chance.randint(0, 1)
    return [lambda: fake.pay(sale.session), *more, *ends]


class Storm:
    """Orders to which things happen, while they are told of and acted upon."""

    def __init__(self, sales: list[Sale], chance: random.Random) -> None:
        self.sales, self.chance, self.fake = sales, chance, sales[0].fake
        self.app = sales[0].api.app
        self.lives = [(monthly if number % 2 else once)(sale, chance) for number, sale in enumerate(sales)]
        self._held: list[Any] = []
        self._guard = threading.Lock()
        self._over = threading.Event()
        self.told = 0

    def blow(self) -> None:
        with ThreadPoolExecutor(TELLERS + WORKERS) as pool:
            workers = [pool.submit(self._work) for _ in range(WORKERS)]
            tellers = [pool.submit(self._tell, random.Random(number)) for number in range(TELLERS)]
            try:
                while lives := [life for life in self.lives if life]:
                    self.chance.choice(lives).pop(0)()
                    self._hold(self.fake.take_events())
            finally:
                self._over.set()
            for done in (*tellers, *workers):
                done.result()
        later = patch("devforge_api.core.outbox.utc_now", lambda: utc_now() + timedelta(hours=1))
        with later, self.app.app_context():
            while drain():
                pass

    def _hold(self, events: list[Any]) -> None:
        with self._guard:
            self._held += events * 2
            self.chance.shuffle(self._held)

    def _tell(self, chance: random.Random) -> None:
        client = self.app.test_client()
        while True:
            over = self._over.is_set()
            with self._guard:
                # Some are always held back, so that they come after others.
                event = self._held.pop() if len(self._held) > (0 if over else 40) else None
            if event is not None:
                answer = self.fake.deliver(client, event)
                assert answer.status_code == 200, answer.json
                with self._guard:
                    self.told += 1
            elif over:
                return
            else:
                self._over.wait(0.01)

    def _work(self) -> None:
        while not (self._over.is_set() and not self._held):
            with self.app.app_context():
                drain()
            self._over.wait(0.01)


@pytest.fixture
def storm(sell):
    def make(orders: int, seed: int) -> Storm:
        sales = [
            sell(interval=Interval.MONTH if number % 2 else Interval.ONE_TIME, quantity=1 + number % 3)
            for number in range(orders)
        ]
        return Storm(sales, random.Random(seed))

    return make


def check(storm: Storm) -> None:
    """What must hold after any storm."""
    with storm.app.app_context():
        undone = select(OutboxRow.error).where(OutboxRow.status != OutboxStatus.DELIVERED)
        assert db.session.scalars(undone.where(OutboxRow.name.startswith("billing."))).all() == []
        outcomes = Counter(db.session.scalars(select(ProviderEvent.outcome)))
        assert set(outcomes) == {EventOutcome.SETTLED}
        assert outcomes.total() * 2 == storm.told
        made = db.session.scalar(select(func.count()).select_from(OrderLicense))
        assert made == db.session.scalar(select(func.count()).select_from(License))
        sums = select(LedgerLine.posting, LedgerLine.currency, func.sum(LedgerLine.amount))
        grouped = sums.group_by(LedgerLine.posting, LedgerLine.currency)
        assert {int(row[2]) for row in db.session.execute(grouped)} == {0}
        numbers = list(db.session.scalars(select(Invoice.number).order_by(Invoice.number)))
        assert numbers == list(range(1, len(numbers) + 1))
        paid = select(func.count()).select_from(Payment).where(Payment.status == PaymentStatus.PAID)
        invoices = select(func.count()).select_from(Invoice).where(Invoice.kind == InvoiceKind.INVOICE)
        of_money = db.session.scalar(invoices.where(Invoice.amount > 0))
        assert of_money == db.session.scalar(paid.where(Payment.amount > 0))
        references = Counter(db.session.scalars(select(Refund.reference)))
        assert set(references.values()) <= {1}
    for sale in storm.sales:
        agrees(sale)


def agrees(sale: Sale) -> None:
    """Each piece has its licence, the books are Stripe's, and a further look changes nothing."""
    books = sale.fake.books
    with sale.api.app.app_context():
        quantity = select(func.sum(OrderItem.quantity)).where(OrderItem.order_id == sale.order_id)
        pieces = db.session.scalar(quantity)
    assert len(sale.licenses()) == pieces, sale.order_id
    with sale.api.app.app_context():
        lines = select(LedgerLine.account, func.sum(LedgerLine.amount)).group_by(LedgerLine.account)
        mine = lines.where(LedgerLine.order_id == sale.order_id)
        ours = {account.value: int(amount) for account, amount in db.session.execute(mine)}
        looks = db.session.get_one(Order, sale.order_id)
        assert looks.settled_look <= looks.looks
    charges = books.all("charge", customer=sale.customer, status="succeeded")
    taken = sum(charge["amount"] for charge in charges)
    names = {charge["id"] for charge in charges}
    refunds = [refund for refund in books.all("refund") if refund["charge"] in names]
    back = sum(refund["amount"] for refund in refunds if refund["status"] == "succeeded")
    disputes = [dispute for dispute in books.all("dispute") if dispute["charge"] in names]
    lost = sum(dispute["amount"] for dispute in disputes if dispute["status"] == "lost")
    assert -ours["revenue"] == taken
    assert (ours.get("refunds", 0), ours.get("disputes", 0)) == (back, lost)
    assert ours["provider"] == taken - back - lost
    with sale.api.app.app_context():
        assert look_and_settle(sale.provider, sale.order_id).changes == ()


def test_a_storm_of_webhooks_comes_to_what_stripe_says(storm):
    blown = storm(orders=8, seed=1)
    blown.blow()
    check(blown)


@pytest.mark.extended
@pytest.mark.timeout(1200)
@pytest.mark.production_column(reason="SQLite has one writer; the smaller storm is enough there")
def test_a_thousand_webhooks_of_sixty_orders_with_four_workers(storm):
    blown = storm(orders=60, seed=6)
    blown.blow()
    assert blown.told >= 1000
    check(blown)
