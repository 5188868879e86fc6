"""The ledger: every movement of money in lines that sum to zero, posted once."""

from __future__ import annotations

from sqlalchemy import select

from devforge_api.billing.models import Account, LedgerLine, Order
from devforge_api.core.db import db


class Postings:
    """What was posted of one order, whose row is locked, and what is added."""

    def __init__(self, order: Order, event_id: str | None) -> None:
        self._order = order
        self._event_id = event_id
        posted = select(LedgerLine.posting).where(LedgerLine.order_id == order.id)
        self._known = set(db.session.scalars(posted))

    def __contains__(self, posting: str) -> bool:
        return posting in self._known

    def post(self, posting: str, *, source: Account, target: Account, amount: int) -> bool:
        """Move an amount from one account to another, unless that was posted. Nothing moves nothing.

        :param posting: what moved, and whose it is: its name for ever.
        :returns: whether it was posted now.
        """
        if posting in self._known or amount == 0:
            return False
        self._known.add(posting)
        for account, signed in ((source, -amount), (target, amount)):
            line = LedgerLine(
                posting=posting,
                account=account,
                amount=signed,
                currency=self._order.currency,
                order_id=self._order.id,
                event_id=self._event_id,
            )
            db.session.add(line)
        return True
