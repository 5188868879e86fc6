"""What the built-in provider knows of one order, and how that changes: Stripe's rules, played through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dateutil.relativedelta import relativedelta

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import (
    CheckoutRequest,
    PriceToBuy,
    SeenDispute,
    SeenPayment,
    SeenRefund,
    SeenSubscription,
    SessionState,
    Snapshot,
    Told,
)
from devforge_api.core.clock import rfc3339

OPEN_FOR = timedelta(days=1)
PREFIX = "cs_test_"
SPAN = {Interval.MONTH: relativedelta(months=1), Interval.YEAR: relativedelta(years=1)}
RUNNING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE)


def opened(request: CheckoutRequest, customer: str, now: datetime) -> dict[str, Any]:
    """The state of a checkout that has just begun."""
    first = request.lines[0][0]
    return {
        "order_id": str(request.order_id),
        "session": SessionState.OPEN,
        "opened_at": rfc3339(now),
        "customer": customer,
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "interval": first.interval,
        "currency": first.currency,
        "trial_days": request.trial_days,
        "lines": [
            {"price_id": str(price.price_id), "name": price.name, "amount": price.amount, "quantity": count}
            for price, count in request.lines
        ],
        "payments": [],
        "refunds": [],
        "disputes": [],
        "subscription": None,
        "credit": 0,  # from a change to a lower price, for the next period
        "events": [],
    }


@dataclass
class Book:
    """One order's state. What changes it notes what is to be told; what changes nothing notes nothing.

    :param reference: of its checkout; every other name is derived from it.
    """

    reference: str
    state: dict[str, Any]
    now: datetime
    news: list[str] = field(default_factory=list)

    # --- the page ------------------------------------------------------------------------------
    @property
    def session(self) -> SessionState:
        """Of the page, which closes by itself."""
        session = SessionState(self.state["session"])
        late = self.now >= _moment(self.state["opened_at"]) + OPEN_FOR
        return SessionState.EXPIRED if session is SessionState.OPEN and late else session

    @property
    def money(self) -> PaymentStatus | None:
        """What has become of the first payment; None: it was not tried."""
        payments = self.state["payments"]
        return PaymentStatus(payments[0]["status"]) if payments else None

    @property
    def total(self) -> int:
        """Of all items, for one period."""
        return sum(line["amount"] * line["quantity"] for line in self.state["lines"])

    def approve(self) -> None:
        """Pay, or let money that was on its way arrive."""
        if self.session is SessionState.OPEN:
            self._complete(PaymentStatus.PAID)
            self.news.append("checkout.session.completed")
        elif self.money is PaymentStatus.PENDING:
            self._first_payment(PaymentStatus.PAID)
            self.news.append("checkout.session.async_payment_succeeded")

    def delay(self) -> None:
        """Pay in a way that takes days."""
        if self.session is SessionState.OPEN:
            self._complete(PaymentStatus.PENDING)
            self.news.append("checkout.session.completed")

    def decline(self) -> None:
        """Refuse the payment, for good."""
        if self.session is SessionState.OPEN:
            self._complete(PaymentStatus.FAILED)
        elif self.money is PaymentStatus.PENDING:
            self._first_payment(PaymentStatus.FAILED)
        else:
            return
        self.news.append("checkout.session.async_payment_failed")

    def expire(self) -> None:
        """Close the page, if it is open."""
        if self.state["session"] == SessionState.OPEN:
            self.state["session"] = SessionState.EXPIRED
            self.news.append("checkout.session.expired")

    def _complete(self, status: PaymentStatus) -> None:
        self.state["session"] = SessionState.COMPLETE
        if self.state["interval"] == Interval.ONE_TIME:
            self._bill(self.total, reference=self.reference)
        else:
            self._subscribe()
        self._first_payment(status)

    def _subscribe(self) -> None:
        days = self.state["trial_days"]
        begin = self.now + timedelta(days=days) if days else self.now
        end = begin if days else begin + self._span()
        self.state["subscription"] = {
            "status": SubscriptionStatus.INCOMPLETE,
            "anchor": rfc3339(begin),
            "periods": 0 if days else 1,
            "period_start": rfc3339(self.now),
            "period_end": rfc3339(end),
            "cancel_at_period_end": False,
            "ended_at": None,
        }
        self._bill(0 if days else self.total, period=(self.now, end))

    def _first_payment(self, status: PaymentStatus) -> None:
        payment, subscription = self.state["payments"][0], self.state["subscription"]
        self._resolve(payment, status)
        if subscription is None or status is PaymentStatus.PENDING:
            return
        if status is PaymentStatus.FAILED:
            self._close(subscription)
        else:
            trial = self.state["trial_days"] is not None
            subscription["status"] = SubscriptionStatus.TRIALING if trial else SubscriptionStatus.ACTIVE
            self.news.append("customer.subscription.created")

    # --- money ---------------------------------------------------------------------------------
    def _bill(
        self, amount: int, *, reference: str | None = None, period: tuple[datetime, datetime] | None = None
    ) -> dict[str, Any]:
        number = len(self.state["payments"])
        payment = {
            "reference": reference or f"in_test_{self._token}_{number}",
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
                payment["charge"] = f"ch_test_{self._token}_{self.state['payments'].index(payment)}"

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
            "reference": f"re_test_{self._token}_{len(self.state['refunds'])}",
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
        back = [
            refund["amount"]
            for refund in self.state["refunds"]
            if refund["charge"] == charge and refund["status"] == RefundStatus.SUCCEEDED
        ]
        return sum(payment["amount"] for payment in self.charged() if payment["charge"] == charge) - sum(back)

    def charged(self) -> list[dict[str, Any]]:
        """The payments that have moved money, oldest first."""
        return [payment for payment in self.state["payments"] if payment["charge"] is not None]

    @property
    def _disputes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state["disputes"]
        return found

    # --- subscriptions -------------------------------------------------------------------------
    def subscription(self) -> dict[str, Any]:
        """The subscription. :raises ProviderRefused: there is none, or it has ended."""
        found: dict[str, Any] | None = self.state["subscription"]
        if found is None or found["status"] == SubscriptionStatus.CANCELED:
            raise ProviderRefused("There is no subscription, or it has ended.")
        return found

    def next_period(self, status: PaymentStatus) -> None:
        """Begin the next period and charge for it, or end where that was asked for.

        :raises ProviderRefused: nothing runs that could go on.
        """
        subscription = self.subscription()
        if subscription["status"] not in RUNNING:
            raise ProviderRefused(f"The subscription is {subscription['status']}.")
        if subscription["cancel_at_period_end"]:
            self._close(subscription)
            return
        begin = _moment(subscription["period_end"])
        subscription["periods"] += 1
        end = _moment(subscription["anchor"]) + subscription["periods"] * self._span()
        subscription["period_start"], subscription["period_end"] = rfc3339(begin), rfc3339(end)
        amount = max(self.total - self.state["credit"], 0)
        self.state["credit"] -= self.total - amount
        self._resolve(self._bill(amount, period=(begin, end)), status)
        paid = status is PaymentStatus.PAID
        subscription["status"] = SubscriptionStatus.ACTIVE if paid else SubscriptionStatus.PAST_DUE
        self.news += ["invoice.paid" if paid else "invoice.payment_failed", "customer.subscription.updated"]

    def recover(self) -> None:
        """Pay what has failed. :raises ProviderRefused: nothing has."""
        subscription, last = self.subscription(), self.state["payments"][-1]
        if subscription["status"] != SubscriptionStatus.PAST_DUE:
            raise ProviderRefused("No payment of the subscription has failed.")
        self._resolve(last, PaymentStatus.PAID)
        subscription["status"] = SubscriptionStatus.ACTIVE
        self.news += ["invoice.paid", "customer.subscription.updated"]

    def cancel(self, *, at_period_end: bool) -> None:
        """End the subscription; one that has ended stays so."""
        subscription = self.state["subscription"]
        if subscription is None or subscription["status"] == SubscriptionStatus.CANCELED:
            return
        if not at_period_end:
            self._close(subscription)
        elif not subscription["cancel_at_period_end"]:
            subscription["cancel_at_period_end"] = True
            self.news.append("customer.subscription.updated")

    def resume(self) -> None:
        """Take back that it ends, or is paused. :raises ProviderRefused: it has ended."""
        subscription = self.subscription()
        if subscription["cancel_at_period_end"]:
            subscription["cancel_at_period_end"] = False
            self.news.append("customer.subscription.updated")
        if subscription["status"] == SubscriptionStatus.PAUSED:
            subscription["status"] = SubscriptionStatus.ACTIVE
            self.news.append("customer.subscription.resumed")

    def pause(self) -> None:
        """Let it rest. :raises ProviderRefused: it does not run."""
        subscription = self.subscription()
        if subscription["status"] not in RUNNING:
            raise ProviderRefused(f"The subscription is {subscription['status']}.")
        subscription["status"] = SubscriptionStatus.PAUSED
        self.news.append("customer.subscription.paused")

    def change_price(self, position: int, price: PriceToBuy) -> None:
        """Move an item to another price, and charge the difference of the present period at once.

        What a lower price gives back is taken off the next periods. Another interval begins a new
        period now, of which what is left of the old one is taken off.

        :raises ProviderRefused: nothing runs, or the price does not go with the others.
        """
        subscription, lines = self.subscription(), self.state["lines"]
        line = lines[position]
        if line["price_id"] == str(price.price_id):
            return
        other_interval = price.interval != self.state["interval"]
        if price.currency != self.state["currency"] or price.interval not in SPAN:
            raise ProviderRefused("A subscription stays with its currency, and is paid again and again.")
        if other_interval and len(lines) > 1:
            raise ProviderRefused("All items of a subscription are paid equally often.")
        if subscription["status"] not in RUNNING:
            raise ProviderRefused(f"The subscription is {subscription['status']}.")
        old, new = line["amount"] * line["quantity"], price.amount * line["quantity"]
        line.update(price_id=str(price.price_id), name=price.name, amount=price.amount)
        self.state["interval"] = price.interval
        self.news.append("customer.subscription.updated")
        if subscription["status"] == SubscriptionStatus.TRIALING:
            return
        unused = self._unused(subscription)
        due = new - round(old * unused) if other_interval else round((new - old) * unused)
        if other_interval:
            end = self.now + self._span()
            subscription.update(
                anchor=rfc3339(self.now), periods=1, period_start=rfc3339(self.now), period_end=rfc3339(end)
            )
        due -= self.state["credit"]
        self.state["credit"] = max(-due, 0)
        if due > 0 or other_interval:
            period = (self.now, _moment(subscription["period_end"]))
            self._resolve(self._bill(max(due, 0), period=period), PaymentStatus.PAID)
            self.news.append("invoice.paid")

    def _unused(self, subscription: dict[str, Any]) -> float:
        """Which part of the present period lies ahead."""
        begin, end = _moment(subscription["period_start"]), _moment(subscription["period_end"])
        return min(max((end - self.now) / (end - begin), 0.0), 1.0)

    def _close(self, subscription: dict[str, Any]) -> None:
        subscription["status"] = SubscriptionStatus.CANCELED
        subscription["ended_at"] = rfc3339(self.now)
        self.news.append("customer.subscription.deleted")

    def _span(self) -> relativedelta:
        return SPAN[Interval(self.state["interval"])]

    # --- what is told --------------------------------------------------------------------------
    @property
    def _token(self) -> str:
        return self.reference.removeprefix(PREFIX)

    def tell(self) -> Iterator[Told]:
        """Number what was noted, and keep that it was told."""
        for kind in self.news:
            noted = {
                "id": f"evt_test_{self._token}_{len(self.state['events'])}",
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
            "created": int(_moment(noted["at"]).timestamp()),
            "data": {"object": {"metadata": {"order_id": self.state["order_id"]}}},
        }
        return Told(noted["id"], noted["kind"], payload)

    def snapshot(self) -> Snapshot:
        """All that is true now."""
        begun = self.session is SessionState.COMPLETE
        return Snapshot(
            session=self.session,
            payments=tuple(self._seen_payment(payment) for payment in self.state["payments"]),
            refunds=tuple(
                SeenRefund(
                    reference=one["reference"],
                    charge_reference=one["charge"],
                    status=RefundStatus(one["status"]),
                    amount=one["amount"],
                    refund_id=None if one["refund_id"] is None else UUID(one["refund_id"]),
                    failure=one["failure"],
                )
                for one in self.state["refunds"]
            ),
            disputes=tuple(
                SeenDispute(
                    reference=one["reference"],
                    charge_reference=one["charge"],
                    status=DisputeStatus(one["status"]),
                    amount=one["amount"],
                    reason="fraudulent",
                )
                for one in self._disputes
            ),
            subscription=self._seen_subscription(),
            customer_reference=self.state["customer"] if begun else None,
        )

    def _seen_payment(self, payment: dict[str, Any]) -> SeenPayment:
        return SeenPayment(
            reference=payment["reference"],
            status=PaymentStatus(payment["status"]),
            amount=payment["amount"],
            currency=self.state["currency"],
            charge_reference=payment["charge"],
            failure=payment["failure"],
            period_start=_moment_or_none(payment["period_start"]),
            period_end=_moment_or_none(payment["period_end"]),
            paid_at=_moment_or_none(payment["paid_at"]),
        )

    def _seen_subscription(self) -> SeenSubscription | None:
        found = self.state["subscription"]
        if found is None:
            return None
        return SeenSubscription(
            reference=f"sub_test_{self._token}",
            status=SubscriptionStatus(found["status"]),
            current_period_end=_moment(found["period_end"]),
            cancel_at_period_end=found["cancel_at_period_end"],
            ended_at=_moment_or_none(found["ended_at"]),
            price_ids=tuple(UUID(line["price_id"]) for line in self.state["lines"]),
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)
