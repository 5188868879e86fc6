"""The ledger: every movement of money in lines that sum to zero, posted once."""

from __future__ import annotations

from itertools import count
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.models import Account, LedgerLine, Order
from devforge_api.core.db import db


class Postings:
    """What was posted of one order, whose row is locked, and what is added."""

    def __init__(self, order: Order, event_id: str | None) -> None:
        self._order = order
        self._event_id = event_id
        lines = select(LedgerLine.posting, LedgerLine.account, LedgerLine.amount)
        posted = db.session.execute(lines.where(LedgerLine.order_id == order.id)).all()
        self._known = {line.posting for line in posted}
        self._withheld: dict[str, int] = {}
        for line in posted:
            if line.account is Account.DISPUTES:
                self._add_withheld(line.posting, line.amount)

    def __contains__(self, posting: str) -> bool:
        return posting in self._known

    def withhold(self, dispute_id: UUID, amount: int) -> None:
        """Let so much stand on the account of disputes because of this one, whatever was withheld before.

        A bank may ask for more, give back, and take again: each step is a posting of its own.
        """
        more = amount - self._withheld.get(str(dispute_id), 0)
        if not more:
            return
        first = f"{'dispute' if more > 0 else 'dispute_won'}:{dispute_id}"
        names = (first if number == 1 else f"{first}:{number}" for number in count(1))
        posting = next(name for name in names if name not in self._known)
        if more > 0:
            self.post(posting, source=Account.PROVIDER, target=Account.DISPUTES, amount=more)
        else:
            self.post(posting, source=Account.DISPUTES, target=Account.PROVIDER, amount=-more)
        self._add_withheld(posting, more)

    def _add_withheld(self, posting: str, amount: int) -> None:
        dispute_id = posting.split(":")[1]
        self._withheld[dispute_id] = self._withheld.get(dispute_id, 0) + amount

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
