"""An order, held for whoever changes what belongs to it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import Order
from devforge_api.core.db import db
from devforge_api.users.models import User


def lock_order(order_id: UUID, *, user_id: UUID | None = None, beside: UUID | None = None) -> Order:
    """One order, held until commit; its buyer's row is held before it, as where an account is erased.

    :param user_id: whose it must be; None where the caller may change everybody's.
    :param beside: another account to which will be referred: a row that does holds it as well.
    :raises OrderNotFound: unknown, or not the user's.
    """
    mine = [Order.id == order_id]
    if user_id is not None:
        mine.append(Order.user_id == user_id)
    theirs = User.id.in_(select(Order.user_id).where(*mine))
    # In the order of their ids, as where an account is erased beside the admins'.
    accounts = select(User.id).where(theirs if beside is None else theirs | (User.id == beside))
    db.session.execute(accounts.order_by(User.id).with_for_update(read=True, key_share=True))
    order = db.session.scalar(
        select(Order).where(*mine).with_for_update().execution_options(populate_existing=True)
    )
    if order is None:
        raise OrderNotFound
    return order
