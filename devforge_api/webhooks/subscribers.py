"""What webhooks do when something happened: news is addressed, and what is due is sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from devforge_api.core import news
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.news import News
from devforge_api.core.outbox import Lane, on
from devforge_api.webhooks.service import sending, telling, waiting


@news.hears
def address(item: News) -> None:
    """Make a delivery for each endpoint that is to have it."""
    telling.pass_on(item)


@on(telling.DUE, outside=True, lane=Lane.STRANGERS)
def deliver(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Make one attempt; what it returns writes down how it went."""
    with unit_of_work():
        call = sending.claim(UUID(payload["delivery_id"]), utc_now())
    return None if call is None else partial(sending.record, call, sending.attempt(call))


@on("webhook.endpoint_due")
def go_on(payload: dict[str, Any]) -> None:
    """Have attempted what was parked."""
    waiting.go_on(UUID(payload["endpoint_id"]), utc_now())
