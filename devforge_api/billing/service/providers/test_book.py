"""What the built-in provider knows of one order, and how that changes: Stripe's rules, played through."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import (
    CheckoutRequest,
    SeenDispute,
    SeenPayment,
    SeenRefund,
    SeenSubscription,
    SessionState,
    Snapshot,
)
from devforge_api.billing.service.providers.test_money import moment
from devforge_api.billing.service.providers.test_periods import Periods
from devforge_api.core.clock import rfc3339

OPEN_FOR = timedelta(days=1)


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


class Book(Periods):
    """The whole: the page on which an order is paid, and what comes of it."""

    @property
    def session(self) -> SessionState:
        """Of the page, which closes by itself."""
        session = SessionState(self.state["session"])
        late = self.now >= moment(self.state["opened_at"]) + OPEN_FOR
        return SessionState.EXPIRED if session is SessionState.OPEN and late else session

    @property
    def money(self) -> PaymentStatus | None:
        """What has become of the first payment; None: it was not tried."""
        payments = self.state["payments"]
        return PaymentStatus(payments[0]["status"]) if payments else None

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
            reference=f"sub_test_{self._name}",
            status=SubscriptionStatus(found["status"]),
            current_period_end=moment(found["period_end"]),
            cancel_at_period_end=found["cancel_at_period_end"],
            ended_at=_moment_or_none(found["ended_at"]),
            price_ids=tuple(UUID(line["price_id"]) for line in self.state["lines"]),
        )


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
