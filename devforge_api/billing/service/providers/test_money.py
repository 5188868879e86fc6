"""The money of one order at the built-in provider: payments, refunds, disputes, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import DisputeStatus, PaymentStatus, RefundStatus
from devforge_api.billing.service.providers.base import Told
from devforge_api.core.clock import rfc3339


def moment(text: str) -> datetime:
    """A moment as the state holds it."""
    return datetime.fromisoformat(text)


@dataclass
class Money:
    """One order's state. What changes it notes what is to be told; what changes nothing notes nothing.

    :param reference: of its checkout. Who knows it may pay: other names are derived from the order's id.
    """

    reference: str
    state: dict[str, Any]
    now: datetime
    news: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Of all items, for one period."""
        return sum(line["amount"] * line["quantity"] for line in self.state["lines"])

    def _bill(
        self, amount: int, *, reference: str | None = None, period: tuple[datetime, datetime] | None = None
    ) -> dict[str, Any]:
        number = len(self.state["payments"])
        payment = {
            "reference": reference or f"in_test_{self._name}_{number}",
            "status": PaymentStatus.PENDING,
            "amount": amount,
            "charge": None,
            "failure": None,
            "period_start": None if period is None else rfc3339(period[0]),
            "period_end": None if period is None else rfc3339(period[1]),
            "paid_at": None,
        }
        self.state["payments"].append(payment)
        return payment

    def _resolve(self, payment: dict[str, Any], status: PaymentStatus) -> None:
        payment["status"] = status
        payment["failure"] = "Your card was declined." if status is PaymentStatus.FAILED else None
        if status is PaymentStatus.PAID:
            payment["paid_at"] = rfc3339(self.now)
            if payment["amount"]:
                payment["charge"] = f"ch_test_{self._name}_{self.state['payments'].index(payment)}"

    def refund(self, charge: str, amount: int, *, refund_id: UUID | None) -> None:
        """Give money back; asked for again with the same id, once.

        :raises ProviderRefused: there is no such charge, it is disputed, or less than that is left.
        """
        known = {refund["refund_id"] for refund in self.state["refunds"]} - {None}
        if refund_id is not None and str(refund_id) in known:
            return
        if any(one["charge"] == charge and one["status"] != DisputeStatus.WON for one in self._disputes):
            raise ProviderRefused("This charge is disputed.")
        if not 0 < amount <= self.left(charge):
            raise ProviderRefused("Less than that is left of this charge.")
        refund = {
            "reference": f"re_test_{self._name}_{len(self.state['refunds'])}",
            "charge": charge,
            "status": RefundStatus.SUCCEEDED,
            "amount": amount,
            "refund_id": None if refund_id is None else str(refund_id),
            "failure": None,
        }
        self.state["refunds"].append(refund)
        self.news += ["refund.created", "charge.refunded"]

    def left(self, charge: str) -> int:
        """What was not given back of a charge yet."""
        back: list[int] = [
            refund["amount"]
            for refund in self.state["refunds"]
            if refund["charge"] == charge and refund["status"] == RefundStatus.SUCCEEDED
        ]
        paid: list[int] = [one["amount"] for one in self.charged() if one["charge"] == charge]
        return sum(paid) - sum(back)

    def charged(self) -> list[dict[str, Any]]:
        """The payments that have moved money, oldest first."""
        return [payment for payment in self.state["payments"] if payment["charge"] is not None]

    def fail_refund(self) -> None:
        """Let the newest refund come back. :raises ProviderRefused: there is none that has succeeded."""
        for refund in reversed(self.state["refunds"]):
            if refund["status"] == RefundStatus.SUCCEEDED:
                refund["status"], refund["failure"] = RefundStatus.FAILED, "The card's account was closed."
                self.news.append("refund.failed")
                return
        raise ProviderRefused("There is no refund that could fail.")

    @property
    def _disputes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state["disputes"]
        return found

    def dispute(self) -> None:
        """Let the payer's bank take the newest charge back. :raises ProviderRefused: nothing was charged."""
        disputed = {one["charge"] for one in self._disputes}
        charged = [payment for payment in self.charged() if payment["charge"] not in disputed]
        if not charged:
            raise ProviderRefused("There is no charge that could be disputed.")
        dispute = {
            "reference": f"dp_test_{self._name}_{len(self._disputes)}",
            "charge": charged[-1]["charge"],
            "status": DisputeStatus.OPEN,
            "amount": charged[-1]["amount"],
        }
        self._disputes.append(dispute)
        self.news.append("charge.dispute.created")

    def decide_dispute(self, status: DisputeStatus) -> None:
        """Let the bank decide. :raises ProviderRefused: no dispute is open."""
        for dispute in self._disputes:
            if dispute["status"] == DisputeStatus.OPEN:
                dispute["status"] = status
                self.news.append("charge.dispute.closed")
                return
        raise ProviderRefused("No dispute is open.")

    @property
    def _name(self) -> str:
        return UUID(self.state["order_id"]).hex

    def tell(self) -> Iterator[Told]:
        """Number what was noted, and keep that it was told."""
        for kind in self.news:
            noted = {
                "id": f"evt_test_{self._name}_{len(self.state['events'])}",
                "kind": kind,
                "at": rfc3339(self.now),
            }
            self.state["events"].append(noted)
            yield self.told(noted)

    def told(self, noted: dict[str, str]) -> Told:
        """An event as it is sent."""
        payload = {
            "id": noted["id"],
            "type": noted["kind"],
            "created": int(moment(noted["at"]).timestamp()),
            "data": {"object": {"metadata": {"order_id": self.state["order_id"]}}},
        }
        return Told(noted["id"], noted["kind"], payload)
