"""Invoices and credit notes: one for each payment and refund, numbered without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select

from devforge_api.billing.models import Invoice, InvoiceKind, Order, OrderItem, Payment, Refund
from devforge_api.core.db import before_commit, db, uuid7

NUMBERING_LOCK = 0x0DE7F0B1  # of PostgreSQL's advisory locks; any number, the same for all


def invoice(order: Order, items: Sequence[OrderItem], payment: Payment, *, now: datetime) -> None:
    """Write the invoice of a payment at the end of this transaction, unless nothing was asked for."""
    lines: list[dict[str, Any]] = [
        {
            "description": item.description,
            "quantity": item.quantity,
            "unit_amount": item.unit_amount,
            "amount": item.quantity * item.unit_amount,
        }
        for item in items
    ]
    rest = payment.amount - sum(line["amount"] for line in lines)
    if rest:  # a change of plan within a period, or a trial
        lines.append(_line("Adjustment", rest))
    if payment.amount:
        _note(order, InvoiceKind.INVOICE, payment, lines, payment.currency, now)


def credit_note(order: Order, refund: Refund, *, now: datetime) -> None:
    """Write the credit note of a refund at the end of this transaction."""
    _note(order, InvoiceKind.CREDIT_NOTE, refund, [_line("Refund", refund.amount)], order.currency, now)


def take_back(order: Order, refund: Refund, *, now: datetime) -> None:
    """Ask again for what a refund was to give back, as it has failed after its credit note."""
    _note(order, InvoiceKind.INVOICE, refund, [_line("Failed refund", refund.amount)], order.currency, now)


def _line(description: str, amount: int) -> dict[str, Any]:
    return {"description": description, "quantity": 1, "unit_amount": amount, "amount": amount}


def _note(
    order: Order,
    kind: InvoiceKind,
    source: Payment | Refund,
    lines: list[dict[str, Any]],
    currency: str,
    now: datetime,
) -> None:
    document = Invoice(
        id=uuid7(),
        kind=kind,
        source_id=source.id,
        order_id=order.id,
        user_id=order.user_id,
        amount=source.amount,
        currency=currency,
        lines=lines,
        issued_at=now,
    )
    before_commit(_number, document)


def _number(documents: list[Invoice]) -> None:
    """Give the next numbers, under a lock that is held until the commit and no longer than needed."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(select(func.pg_advisory_xact_lock(NUMBERING_LOCK)))
    last = db.session.scalar(select(func.max(Invoice.number))) or 0
    for document in documents:
        known = exists().where(Invoice.kind == document.kind, Invoice.source_id == document.source_id)
        if not db.session.scalar(select(known)):
            last += 1
            document.number = last
            db.session.add(document)
            db.session.flush()
