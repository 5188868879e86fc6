"""What was, or is to be, sent to an endpoint."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.context import principal
from devforge_api.core.idempotency import idempotent
from devforge_api.core.security import requires
from devforge_api.webhooks import queries
from devforge_api.webhooks.errors import DeliveryNotFound, EndpointDisabled, EndpointNotFound
from devforge_api.webhooks.models import WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.routes import blp
from devforge_api.webhooks.routes.endpoints import locked
from devforge_api.webhooks.schemas import (
    DeliverySchema,
    LoggedDeliverySchema,
    ReplayedSchema,
    ReplaySchema,
)
from devforge_api.webhooks.service import replaying
from devforge_api.webhooks.service.replaying import Replayed


def _own(endpoint_id: UUID) -> WebhookEndpoint:
    return queries.get_endpoint(endpoint_id, owner_id=principal().user_id)


@blp.route("/<uuid:endpoint_id>/deliveries")
class WebhookDeliveries(MethodView):
    """Kept for thirty days. Nobody edits what happened."""

    @requires("webhooks:read")
    @blp.listing(queries.DELIVERIES, DeliverySchema, when_empty=_own)
    @blp.raises(EndpointNotFound)
    def get(self, endpoint_id: UUID) -> Select[WebhookDelivery]:
        """List what was sent to a webhook endpoint, and how that went"""
        return queries.deliveries(endpoint_id, owner_id=principal().user_id)


@blp.route("/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>")
class OneWebhookDelivery(MethodView):
    """One of them."""

    @requires("webhooks:read")
    @blp.response(200, LoggedDeliverySchema)
    @blp.raises(EndpointNotFound, DeliveryNotFound)
    def get(self, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
        """Show a delivery with all its attempts"""
        return queries.get_delivery(endpoint_id, delivery_id, owner_id=principal().user_id)


@blp.route("/<uuid:endpoint_id>/replay")
class WebhookReplay(MethodView):
    """The same messages once more."""

    @requires("webhooks:write")
    @blp.arguments(ReplaySchema)
    @idempotent
    @blp.response(202, ReplayedSchema)
    @blp.raises(EndpointNotFound, DeliveryNotFound, EndpointDisabled)
    def post(self, data: dict[str, Any], endpoint_id: UUID) -> Replayed:
        """Send one delivery, or those of a time, again; their ids stay"""
        endpoint = locked(endpoint_id)
        if "delivery_id" in data:
            return replaying.replay_one(endpoint, data["delivery_id"])
        return replaying.replay_range(
            endpoint, since=data["since"], until=data.get("until"), everything=data["status"] == "all"
        )
