"""Endpoints, news and time, as the tests of webhooks use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.news import News
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.service import telling
from tests.factories import Api, Person
from tests.receiver import Received

RENEWED = "license.renewed"


def make_endpoint(api: Api, by: Person, url: str, **values: Any) -> dict[str, Any]:
    """An endpoint as its maker is shown it, with its secret."""
    api.deliver()  # what was news before is not told there
    made = api.post("/webhooks", {"url": url, **values}, by=by)
    assert made.status_code == 201, made.json
    found: dict[str, Any] = made.json["data"]
    return found


def tell(api: Api, *users: UUID, event: str = RENEWED, data: dict[str, Any] | None = None) -> None:
    """A piece of news, as if a domain had told it."""
    with api.app.app_context(), unit_of_work():
        telling.pass_on(News(event, users, data or {"license_id": "1"}, utc_now()))


def later(api: Api) -> int:
    """Let all that is put off come due, and deliver it. Returns how many rows were tried."""
    with api.app.app_context(), unit_of_work():
        now = utc_now()
        pending = WebhookDelivery.status == DeliveryStatus.PENDING
        db.session.execute(
            update(OutboxRow).where(OutboxRow.status == OutboxStatus.PENDING).values(next_attempt_at=now)
        )
        waits = pending & WebhookDelivery.next_attempt_at.is_not(None)
        db.session.execute(update(WebhookDelivery).where(waits).values(next_attempt_at=now))
        db.session.execute(
            update(WebhookEndpoint)
            .where(WebhookEndpoint.resting_until.is_not(None))
            .values(resting_until=now, updated_at=WebhookEndpoint.updated_at)
        )
    return api.deliver()


def deliveries(api: Api) -> list[WebhookDelivery]:
    """All of them, oldest first, as they are now."""
    with api.app.app_context():
        db.session.remove()
        return list(db.session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def endpoint_row(api: Api, endpoint_id: str) -> WebhookEndpoint:
    """What the database holds of an endpoint."""
    with api.app.app_context():
        db.session.remove()
        found = db.session.get(WebhookEndpoint, UUID(endpoint_id))
        assert found is not None
        return found


def log_of(api: Api, by: Person, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    """The attempts at an endpoint's one delivery, as its owner sees them."""
    path = f"/webhooks/{endpoint['id']}/deliveries"
    (delivery,) = api.get(path, by=by).json["data"]
    found: list[dict[str, Any]] = api.get(f"{path}/{delivery['id']}", by=by).json["data"]["log"]
    return found


def types(received: Sequence[Received]) -> list[str]:
    """What came, by its kind."""
    return [json.loads(request.body)["type"] for request in received]
