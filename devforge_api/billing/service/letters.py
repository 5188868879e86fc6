"""Letters about orders and subscriptions, to whoever bought."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from devforge_api.auth.service import notices
from devforge_api.billing.models import OrderStatus, Subscription
from devforge_api.billing.service.amounts import shown
from devforge_api.billing.service.fulfillment import Piece
from devforge_api.billing.service.recording import Books


def tell_of_payments(books: Books, pieces: Sequence[Piece]) -> None:
    """A receipt for each payment that has come in; the first one holds the licences' keys."""
    first = min((payment.id for payment in books.payments), default=None)
    for payment in books.paid:
        told = pieces if payment.id == first else ()
        keys = [piece.license.key for piece in told if piece.license is not None]
        _write(
            books,
            "receipt",
            amount=shown(payment.amount, payment.currency),
            what=_what(books),
            order=str(books.order.id),
            keys=", ".join(keys),
            until=None if payment.period_end is None else _day(payment.period_end),
        )


def tell_of_failures(books: Books) -> None:
    """That a payment of a subscription has failed, and until when its licences work."""
    if books.subscription is None:
        return
    until = books.subscription.grace_ends_at
    for payment in books.failed:
        _write(
            books,
            "payment_failed",
            amount=shown(payment.amount, payment.currency),
            what=_what(books),
            until=None if until is None else _day(until),
        )


def tell_of_end(books: Books, status: OrderStatus) -> None:
    """That licences have stopped working, as their money has gone back or is withheld."""
    if status in (OrderStatus.REFUNDED, OrderStatus.DISPUTED):
        _write(books, "order_revoked", what=_what(books), order=str(books.order.id), why=status.value)


def tell_of_renewal(books: Books, subscription: Subscription) -> None:
    """That a subscription is about to be charged for another period."""
    amount = sum(item.quantity * item.unit_amount for item in books.items)
    _write(
        books,
        "renewal_coming",
        amount=shown(amount, books.order.currency),
        what=_what(books),
        on=_day(subscription.current_period_end),
    )


def _write(books: Books, letter: str, **params: str | None) -> None:
    if books.order.user_id is not None:
        notices.tell(books.order.user_id, letter, even_unverified=True, **params)


def _what(books: Books) -> str:
    return ", ".join(
        item.description if item.quantity == 1 else f"{item.quantity} × {item.description}"  # noqa: RUF001
        for item in books.items
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
