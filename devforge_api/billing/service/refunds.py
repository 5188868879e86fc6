"""Giving money back: written down first, carried out by the provider afterwards.

A refund is committed before the provider hears of it, and the outbox repeats what fails or dies in
between; the provider gives money once for each id.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.billing import queries
from devforge_api.billing.errors import OrderNotPaid, PaymentNotFound, ProviderRefused, RefundTooLarge
from devforge_api.billing.models import Order, Payment, PaymentStatus, Refund, RefundStatus
from devforge_api.billing.service.looking import look
from devforge_api.billing.service.providers.base import Provider
from devforge_api.core.db import db, release_connection
from devforge_api.core.outbox import emit


def request(
    order: Order,
    *,
    amount: int | None,
    payment_id: UUID | None,
    reason: str,
    requested_by: UUID | None,
) -> Refund:
    """Write down that money is to be given back.

    :param order: locked by the caller: of two requests at once the second sees the first one's.
    :param amount: in minor units; None: all that is left of the payment.
    :param payment_id: which of the order's payments; None: the newest paid one.
    :param requested_by: the user who asks; None: the command line.
    :raises PaymentNotFound: not a payment of this order.
    :raises OrderNotPaid: nothing has come in by it.
    :raises RefundTooLarge: more than is left; ``left`` says how much that is.
    """
    payment = _payment(order.id, payment_id)
    left = max(0, payment.amount - queries.gone_of(payment.id))
    wanted = left if amount is None else amount
    if not 0 < wanted <= left:
        raise RefundTooLarge(None, left=left)
    refund = Refund(
        payment_id=payment.id,
        provider=payment.provider,
        status=RefundStatus.REQUESTED,
        amount=wanted,
        reason=reason,
        requested_by=requested_by,
    )
    db.session.add(refund)
    db.session.flush()
    audit.record(
        "refund.requested",
        target_type="refund",
        target_id=refund.id,
        changes={
            "order_id": (None, order.id),
            "payment_id": (None, payment.id),
            "amount": (None, wanted),
            "currency": (None, payment.currency),
            "reason": (None, reason),
        },
    )
    emit("billing.refund_requested", refund_id=str(refund.id))
    return refund


def _payment(order_id: UUID, payment_id: UUID | None) -> Payment:
    if payment_id is None:
        payment = queries.newest_paid(order_id)
        if payment is None:
            raise OrderNotPaid
    else:
        payment = queries.get_payment(payment_id, reader_id=None)
        if payment.order_id != order_id:
            raise PaymentNotFound
    # Without a charge no money has moved: a period that is free, or one that credit has paid for.
    if payment.status is not PaymentStatus.PAID or payment.charge_reference is None:
        raise OrderNotPaid
    return payment


def carry_out(provider: Provider, refund: Refund) -> Callable[[], None]:
    """Have the provider give the money back, and look at what has become of it; with no transaction open.

    :returns: what records that, to be called in a unit of work.
    :raises ProviderUnavailable: no answer; to be repeated.
    """
    payment, refused = refund.payment, None
    release_connection()
    if refund.status is RefundStatus.REQUESTED and payment.charge_reference is not None:
        try:
            provider.refund(refund.id, payment.charge_reference, refund.amount)
        except ProviderRefused as error:
            refused = error.message
    return partial(_record, refund.id, look(provider, payment.order_id), refused)


def _record(refund_id: UUID, settle: Callable[[], object], refused: str | None) -> None:
    settle()
    if refused is None:
        return
    refund = queries.get_refund(refund_id, reader_id=None)
    # The refusal may be of a repetition, where the first call was heard and its answer lost: what the
    # look has found is the truth.
    if refund.status is RefundStatus.REQUESTED:
        changes = audit.apply(refund, {"status": RefundStatus.FAILED, "failure": refused})
        audit.record("refund.failed", target_type="refund", target_id=refund.id, changes=changes)
