"""Whether the books are in order: the ledger, and the numbers of invoices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import func, select

from devforge_api.billing.models import (
    Account,
    Dispute,
    DisputeStatus,
    Invoice,
    InvoiceKind,
    LedgerLine,
    Payment,
    PaymentStatus,
    Refund,
)
from devforge_api.billing.service.standing import MOVED
from devforge_api.core.db import db

PAGE = 1_000


def check() -> Iterator[str]:
    """What is wrong with the books, a sentence each; nothing: they are in order.

    Read a page at a time, outside of a transaction: while money comes in, something just being
    written may be told of that is right a moment later.
    """
    yield from _unbalanced()
    for payment in _pages(Payment, Payment.status == PaymentStatus.PAID, Payment.amount > 0):
        yield from _payments(payment)
    for refund in _pages(Refund):
        yield from _refunds(refund)
    for dispute in _pages(Dispute):
        yield from _disputes(dispute)
    yield from _gaps()


def _unbalanced() -> Iterator[str]:
    total = func.sum(LedgerLine.amount)
    sums = select(LedgerLine.posting, LedgerLine.currency, total)
    uneven = sums.group_by(LedgerLine.posting, LedgerLine.currency).having(total != 0)
    for posting, currency, amount in db.session.execute(uneven.order_by(LedgerLine.posting)):
        yield f"{posting} sums to {amount} {currency} instead of zero"


def _pages(model: Any, *conditions: Any) -> Iterator[Sequence[Any]]:
    page = select(model).where(*conditions).order_by(model.id).limit(PAGE)
    following = page
    while rows := db.session.scalars(following).all():
        yield rows
        following = page.where(model.id > rows[-1].id)


def _posted(names: Sequence[str], account: Account) -> dict[str, int]:
    statement = select(LedgerLine.posting, LedgerLine.amount).where(
        LedgerLine.posting.in_(names), LedgerLine.account == account
    )
    return {row.posting: row.amount for row in db.session.execute(statement)}


def _differing(posting: str, posted: dict[str, int], amount: int) -> Iterator[str]:
    """What is to be said of a posting that should be there with this amount; 0: should not be there."""
    found = posted.get(posting, 0)
    if found != amount and not found:
        yield f"{posting} is not in the ledger"
    elif found != amount and not amount:
        yield f"{posting} is in the ledger, and should not be"
    elif found != amount:
        yield f"{posting} stands in the ledger with {found} instead of {amount}"


def _payments(page: Sequence[Payment]) -> Iterator[str]:
    names = [f"payment:{payment.id}" for payment in page]
    posted = _posted(names, Account.PROVIDER)
    numbered = _documented(page, InvoiceKind.INVOICE)
    for payment, name in zip(page, names, strict=True):
        yield from _differing(name, posted, payment.amount)
        if payment.id not in numbered:
            yield f"payment {payment.id} has no invoice"


def _refunds(page: Sequence[Refund]) -> Iterator[str]:
    gone = _posted([f"refund:{refund.id}" for refund in page], Account.PROVIDER)
    back = _posted([f"refund_failed:{refund.id}" for refund in page], Account.PROVIDER)
    numbered = _documented(page, InvoiceKind.CREDIT_NOTE)
    for refund in page:
        name = f"refund:{refund.id}"
        if refund.status in MOVED:
            yield from _differing(name, gone, -refund.amount)
        elif name in gone:  # it had left, and has come back
            yield from _differing(f"refund_failed:{refund.id}", back, -gone[name])
        if name in gone and refund.id not in numbered:
            yield f"refund {refund.id} has no credit note"


def _disputes(page: Sequence[Dispute]) -> Iterator[str]:
    """What a bank withholds may come and go several times: all of it together is what stands there."""
    orders = select(Payment.order_id).where(Payment.id.in_([dispute.payment_id for dispute in page]))
    lines = select(LedgerLine.posting, LedgerLine.amount).where(
        LedgerLine.account == Account.DISPUTES, LedgerLine.order_id.in_(orders)
    )
    withheld: dict[str, int] = {}
    for posting, amount in db.session.execute(lines):
        dispute_id = posting.split(":")[1]
        withheld[dispute_id] = withheld.get(dispute_id, 0) + amount
    for dispute in page:
        found = withheld.get(str(dispute.id), 0)
        if dispute.status in (DisputeStatus.OPEN, DisputeStatus.LOST):
            yield from _differing(f"dispute:{dispute.id}", {f"dispute:{dispute.id}": found}, dispute.amount)
        elif dispute.status is DisputeStatus.WON and found:
            yield f"dispute_won:{dispute.id} is not in the ledger, or not whole: {found} are withheld"


def _documented(page: Sequence[Any], kind: InvoiceKind) -> set[Any]:
    ids = [row.id for row in page]
    statement = select(Invoice.source_id).where(Invoice.kind == kind, Invoice.source_id.in_(ids))
    return set(db.session.scalars(statement))


def _gaps() -> Iterator[str]:
    before = func.lag(Invoice.number, 1, 0).over(order_by=Invoice.number).label("before")
    numbers = select(Invoice.number, before).subquery()
    jumps = select(numbers.c.before, numbers.c.number).where(numbers.c.number != numbers.c.before + 1)
    for last, number in db.session.execute(jumps.order_by(numbers.c.number)):
        yield f"invoice {number} follows {last or 'nothing'}: numbers are missing"
