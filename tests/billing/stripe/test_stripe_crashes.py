"""A process that is killed between any two steps of an event: told again, it comes to the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import func, select

from devforge_api.billing.models import EventOutcome, Invoice, Order, ProviderEvent, Refund
from devforge_api.billing.service import (
    customers,
    documents,
    fulfillment,
    inbox,
    letters,
    looking,
    recording,
    settling,
)
from devforge_api.billing.service.ledger import Postings
from devforge_api.billing.service.providers.stripe import StripeProvider
from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from tests.billing.stripe.conftest import Sale

STEPS: dict[str, tuple[Any, str]] = {
    "note the event": (inbox, "store"),
    "ask whose it is": (StripeProvider, "order_of"),
    "number the look": (looking, "begin"),
    "look": (StripeProvider, "look"),
    "settle": (looking, "settle"),
    "lock the order": (settling, "lock_order"),
    "open the books": (settling, "open_books"),
    "remember the customer": (customers, "remember"),
    "record": (settling, "record"),
    "record a payment": (recording, "_record_payment"),
    "post": (Postings, "post"),
    "number the invoice": (documents, "invoice"),
    "find the standing": (settling, "standing"),
    "move the order": (settling, "_move"),
    "bring the licences": (fulfillment.Fulfillment, "bring_to"),
    "write of payments": (letters, "tell_of_payments"),
    "end at the provider": (settling, "_end_at_provider"),
    "mark the event": (inbox, "mark"),
    "mark the delivery": (outbox.OutboxRow, "mark_delivered"),
}


class Killed(BaseException):
    """Nobody handles it."""


@contextmanager
def killed_at(step: str, *, after: bool):
    """End whatever comes to this step for the first time, before it or after it."""
    place, name = STEPS[step]
    genuine: Callable[..., Any] = getattr(place, name)
    left = [1]

    def die(*args: Any, **kwargs: Any) -> Any:
        done = genuine(*args, **kwargs) if after or not left[0] else None
        if left[0]:
            left[0] = 0
            raise Killed
        return done

    with patch.object(place, name, die):
        yield
    assert not left[0], f"{step} was never come to"


@contextmanager
def later(**span: float):
    """Leases are over, and what was put off is due."""
    with patch("devforge_api.core.outbox.utc_now", lambda: utc_now() + timedelta(**span)):
        yield


def outcome(sale: Sale) -> tuple[Any, ...]:
    """Everything that the news has come to, but for ids and moments."""
    with sale.api.app.app_context():
        invoices = select(func.count()).select_from(Invoice).where(Invoice.order_id == sale.order_id)
        counts = [db.session.scalar(invoices), db.session.scalar(select(func.count()).select_from(Refund))]
        undone = select(func.count()).select_from(ProviderEvent)
        waiting = db.session.scalar(undone.where(ProviderEvent.outcome == EventOutcome.WAITING))
        numbers = list(db.session.scalars(select(Invoice.number).order_by(Invoice.number)))
        looked = db.session.get_one(Order, sale.order_id).settled_look > 0
    assert numbers == list(range(1, len(numbers) + 1))
    assert waiting == 0
    statuses = [license_.status for license_ in sale.licenses()]
    return sale.order().status, statuses, sale.balances(), counts, looked


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_payment_counts_once_whatever_is_killed_when(sell, fake, step, after):
    sale = sell(quantity=2)
    fake.pay(sale.session)
    (event,) = fake.take_events()
    with killed_at(step, after=after), pytest.raises(Killed):
        sale.tell(event)
    sale.tell(event)
    with later(minutes=2):
        sale.act()
    assert outcome(sale) == (
        "paid", ["active", "active"], {"provider": 11800, "revenue": -11800}, [1, 0], True
    )  # fmt: skip


@pytest.mark.parametrize(
    "step", ["look", "lock the order", "record", "post", "bring the licences", "mark the event"]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_refund_counts_once_whatever_is_killed_when(sell, fake, step, after):
    sale = sell(quantity=2)
    fake.pay(sale.session)
    sale.tell()
    fake.refund(sale.session)
    events = fake.take_events()
    with killed_at(step, after=after), pytest.raises(Killed):
        sale.tell(*events)
    sale.tell(*events[::-1])
    with later(minutes=2):
        sale.act()
    assert outcome(sale) == (
        "refunded", ["suspended", "suspended"], {"refunds": 11800, "revenue": -11800}, [2, 1], True
    )  # fmt: skip


def test_killed_again_and_again_it_comes_to_its_end(sell, fake):
    sale = sell()
    fake.pay(sale.session)
    (event,) = fake.take_events()
    steps = [step for step in STEPS if step not in ("note the event", "mark the delivery")]
    for number, step in enumerate(steps):
        with later(minutes=2 * number), killed_at(step, after=number % 2 == 1), pytest.raises(Killed):
            sale.tell(event)
    with later(hours=2):
        sale.act()
    assert outcome(sale) == ("paid", ["active"], {"provider": 5900, "revenue": -5900}, [1, 0], True)
