"""Money that goes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from flask import Response, current_app, g
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.billing import queries
from devforge_api.billing.errors import (
    OrderNotFound,
    OrderNotPaid,
    PaymentNotFound,
    RefundNotFound,
    RefundTooLarge,
)
from devforge_api.billing.models import Refund
from devforge_api.billing.providers import find_provider
from devforge_api.billing.routes import blp
from devforge_api.billing.routes.shared import asking_provider, reader
from devforge_api.billing.schemas.money import RefundRequestSchema, RefundSchema
from devforge_api.billing.service import refunds
from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import DomainError
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import shaped
from devforge_api.core.security import requires


def carried_out(view: Callable[..., Response]) -> Callable[..., Response]:
    """Have the provider give back what the view has requested, once that is committed.

    Stands above `idempotent`, so that the request's answer is stored with the refund: a repetition
    after a crash asks for no second one. What fails here, the outbox repeats.
    """

    @wraps(view)
    def served(*args: Any, **kwargs: Any) -> Response:
        requested = view(*args, **kwargs)
        refund_id: UUID | None = g.pop("requested_refund", None)
        if refund_id is None:  # the stored answer of a former request
            return requested
        refund = queries.get_refund(refund_id, reader_id=None)
        try:
            provider = find_provider(refund.provider)
            with asking_provider():
                finish = refunds.carry_out(provider, refund)
            with unit_of_work():
                finish()
        except DomainError as error:
            told = {"refund_id": str(refund_id), "code": error.code}
            current_app.logger.warning("a refund was put off", extra=told)
        except Exception:  # whatever it is: the refund is committed, and answering else would ask for another
            current_app.logger.exception("a refund was put off", extra={"refund_id": str(refund_id)})
        answer = shaped(queries.get_refund(refund_id, reader_id=None), RefundSchema(), 201)
        answer.headers["Location"] = requested.headers["Location"]
        return answer

    return served


@blp.route("/orders/<uuid:order_id>/refund")
class RefundOrder(MethodView):
    """Giving back what an order has brought."""

    @requires("billing:refund")
    @blp.arguments(RefundRequestSchema)
    @carried_out
    @idempotent
    @blp.response(201, RefundSchema, location=lambda refund: f"/api/v1/billing/refunds/{refund.id}")
    @blp.raises(OrderNotFound, PaymentNotFound, OrderNotPaid, RefundTooLarge)
    def post(self, data: dict[str, Any], order_id: UUID) -> Refund:
        """Give a payment back, wholly or in part

        The answer says what the provider has made of it; `requested`: it was not reached yet, and is
        asked again.
        """
        caller = principal().user_id
        order = queries.lock_order(order_id, beside=caller)
        refund = refunds.request(order, **data, requested_by=caller)
        g.requested_refund = refund.id
        return queries.get_refund(refund.id, reader_id=None)


@blp.route("/refunds")
class Refunds(MethodView):
    """Of one's own orders; everybody's for staff."""

    @requires("billing:read")
    @blp.listing(queries.REFUNDS, RefundSchema)
    def get(self) -> Select[Refund]:
        """List refunds"""
        return queries.refunds(reader_id=reader())


@blp.route("/refunds/<uuid:refund_id>")
class OneRefund(MethodView):
    """One of them."""

    @requires("billing:read")
    @blp.response(200, RefundSchema)
    @blp.raises(RefundNotFound)
    def get(self, refund_id: UUID) -> Refund:
        """Show a refund"""
        return queries.get_refund(refund_id, reader_id=reader())
