"""An order, held for whoever changes what belongs to it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import Order
from devforge_api.core.db import db
from devforge_api.users.models import User


def lock_order(order_id: UUID, *, user_id: UUID | None = None) -> Order:
    """One order, held until commit; its buyer's row is held before it, as where an account is erased.

    :param user_id: whose it must be; None where the caller may change everybody's.
    :raises OrderNotFound: unknown, or not the user's.
    """
    mine = [Order.id == order_id]
    if user_id is not None:
        mine.append(Order.user_id == user_id)
    buyer = select(User.id).join(Order, Order.user_id == User.id).where(*mine)
    db.session.execute(buyer.with_for_update(of=User, read=True, key_share=True))
    order = db.session.scalar(
        select(Order).where(*mine).with_for_update().execution_options(populate_existing=True)
    )
    if order is None:
        raise OrderNotFound
    return order
