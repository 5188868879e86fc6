"""A provider whose books a test writes itself, and which can be away, refuse, or forget to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devforge_api.billing.errors import ProviderRefused, ProviderUnavailable
from devforge_api.billing.models import RefundStatus, SubscriptionStatus
from devforge_api.billing.service.looking import look_and_settle
from devforge_api.billing.service.providers.base import (
    Checkout,
    CheckoutRequest,
    OrderReferences,
    PriceToBuy,
    SeenRefund,
    SeenSubscription,
    SessionState,
    Snapshot,
    Told,
)
from devforge_api.core.db import db
from tests.billing.world import World


class StubProvider:
    """What it says of an order stands in ``snapshots``; what it is asked for, in ``calls``.

    :param away: it does not answer. :param refusal: it says no, with this reason.
    :param meanwhile: called whenever it is asked for something that moves money.
    """

    name = "test"

    def __init__(self) -> None:
        self.snapshots: dict[UUID, Snapshot] = {}
        self.events_told: list[Told] = []
        self.calls: list[tuple[Any, ...]] = []
        self.away = False
        self.refusal: str | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.known_prices: dict[UUID, str] = {}
        self._given: set[UUID] = set()
        self._lock = threading.Lock()

    def _asked(self, *call: Any) -> None:
        assert not db.session().in_transaction(), "who asks a provider keeps no connection"
        self.calls.append(call)
        if self.away:
            raise ProviderUnavailable(1)

    def _moved(self) -> None:
        if self.refusal is not None:
            raise ProviderRefused(self.refusal)
        self.meanwhile()

    def says(self, world: World, snapshot: Snapshot) -> None:
        """Say this of an order from now on; it is looked at and settled."""
        self.snapshots[world.order_id] = snapshot
        with world.api.app.app_context():
            look_and_settle(self, world.order_id)

    def asked_for(self, name: str) -> list[tuple[Any, ...]]:
        """The calls of one method."""
        return [call for call in self.calls if call[0] == name]

    def tell(self, order_id: UUID | None, event_id: str | None = None) -> Told:
        """An event that concerns an order, or none of ours."""
        payload = {"order_id": None if order_id is None else str(order_id)}
        told = Told(event_id or f"evt_{len(self.events_told)}", "something.happened", payload)
        self.events_told.append(told)
        return told

    # --- what billing asks -------------------------------------------------------------------------
    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        raise NotImplementedError

    def expire_checkout(self, reference: str) -> None:
        raise NotImplementedError

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> Told:
        raise NotImplementedError

    def portal_url(self, customer_reference: str, return_url: str) -> str:
        raise NotImplementedError

    def look(self, order: OrderReferences) -> Snapshot:
        self._asked("look", order.order_id)
        return self.snapshots.get(order.order_id, Snapshot(SessionState.OPEN))

    def order_of(self, payload: Mapping[str, Any]) -> UUID | None:
        self._asked("order_of", payload["order_id"])
        return UUID(payload["order_id"]) if payload["order_id"] else None

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        self._asked("events", since, until)
        assert since < until
        yield from list(self.events_told)

    def refund(self, refund_id: UUID, charge_reference: str, amount: int) -> None:
        self._asked("refund", refund_id, charge_reference, amount)
        self._moved()
        with self._lock:
            if refund_id in self._given:
                return
            self._given.add(refund_id)
            for order_id, snapshot in self.snapshots.items():
                if any(one.charge_reference == charge_reference for one in snapshot.payments):
                    seen = SeenRefund(
                        f"re_{refund_id}", charge_reference, RefundStatus.SUCCEEDED, amount, refund_id
                    )
                    self.snapshots[order_id] = replace(snapshot, refunds=(*snapshot.refunds, seen))

    def change_price(self, subscription: str, position: int, price: PriceToBuy) -> str:
        self._asked("change_price", subscription, position, price)
        self._moved()
        seen = self._subscription(subscription)
        ids = [*seen.price_ids]
        ids[position] = price.price_id
        self._now(subscription, price_ids=tuple(ids))
        return self.known_prices.setdefault(price.price_id, f"price_{price.price_id}")

    def cancel(self, subscription: str, *, at_period_end: bool) -> None:
        self._asked("cancel", subscription, at_period_end)
        self._moved()
        if at_period_end:
            self._now(subscription, cancel_at_period_end=True)
        else:
            ended = self._subscription(subscription).current_period_end - timedelta(days=1)
            self._now(subscription, status=SubscriptionStatus.CANCELED, ended_at=ended)

    def resume(self, subscription: str) -> None:
        self._asked("resume", subscription)
        self._moved()
        self._now(subscription, cancel_at_period_end=False)

    def _subscription(self, reference: str) -> SeenSubscription:
        for snapshot in self.snapshots.values():
            if snapshot.subscription is not None and snapshot.subscription.reference == reference:
                return snapshot.subscription
        raise ProviderRefused("No such subscription.")

    def _now(self, reference: str, **values: Any) -> None:
        for order_id, snapshot in self.snapshots.items():
            seen = snapshot.subscription
            if seen is not None and seen.reference == reference:
                self.snapshots[order_id] = replace(snapshot, subscription=replace(seen, **values))
