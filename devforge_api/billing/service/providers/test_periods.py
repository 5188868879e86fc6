"""Subscriptions at the built-in provider: periods, their ends, and changes of price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dateutil.relativedelta import relativedelta

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import Interval, PaymentStatus, SubscriptionStatus
from devforge_api.billing.service.providers.base import PriceToBuy
from devforge_api.billing.service.providers.test_money import Money, moment
from devforge_api.core.clock import rfc3339

SPAN = {Interval.MONTH: relativedelta(months=1), Interval.YEAR: relativedelta(years=1)}
RUNNING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE)


class Periods(Money):
    """With the part of the state that is of a subscription."""

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
        begin = moment(subscription["period_end"])
        subscription["periods"] += 1
        end = moment(subscription["anchor"]) + subscription["periods"] * self._span()
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
            period = (self.now, moment(subscription["period_end"]))
            self._resolve(self._bill(max(due, 0), period=period), PaymentStatus.PAID)
            self.news.append("invoice.paid")

    def _unused(self, subscription: dict[str, Any]) -> float:
        """Which part of the present period lies ahead."""
        begin, end = moment(subscription["period_start"]), moment(subscription["period_end"])
        return min(max((end - self.now) / (end - begin), 0.0), 1.0)

    def _close(self, subscription: dict[str, Any]) -> None:
        subscription["status"] = SubscriptionStatus.CANCELED
        subscription["ended_at"] = rfc3339(self.now)
        self.news.append("customer.subscription.deleted")

    def _span(self) -> relativedelta:
        return SPAN[Interval(self.state["interval"])]
