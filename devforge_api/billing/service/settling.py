"""Settling an order: what its provider says becomes what we record, and what licences are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from devforge_api.billing.models import OrderStatus
from devforge_api.billing.service.providers.base import Snapshot


@dataclass(frozen=True, slots=True)
class Settled:
    """An order after it was settled, and what that has changed, in words."""

    order_id: UUID
    status: OrderStatus
    changes: tuple[str, ...]


def settle(order_id: UUID, snapshot: Snapshot, *, look: int, event_id: str | None, now: datetime) -> Settled:
    """Record what a look at the provider has shown, and make licences what they should be.

    In the caller's transaction, under the order's lock, and right however often it is repeated.

    :param look: the look's number. One that a later begun look has overtaken changes nothing: that one
        has seen whatever this one was begun for.
    :param event_id: the provider's event that has led here, which licences' ledgers cite.
    """
    raise NotImplementedError
