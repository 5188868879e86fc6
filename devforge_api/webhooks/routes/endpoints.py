"""The caller's endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import EditConflict, PreconditionFailed
from devforge_api.core.idempotency import idempotent
from devforge_api.core.responses import carries_secret, check_precondition
from devforge_api.core.schemas import EmptySchema
from devforge_api.core.security import requires
from devforge_api.webhooks import queries
from devforge_api.webhooks.errors import EndpointDisabled, EndpointNotFound, TooManyEndpoints
from devforge_api.webhooks.models import WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.routes import blp
from devforge_api.webhooks.routes.destinations import destination_checked
from devforge_api.webhooks.schemas import (
    DeliverySchema,
    EndpointMadeSchema,
    EndpointSchema,
    RotationSchema,
)
from devforge_api.webhooks.service import endpoints, replaying
from devforge_api.webhooks.service.endpoints import Made
from devforge_api.webhooks.service.telling import EVERYBODY


def locked(endpoint_id: UUID) -> WebhookEndpoint:
    """One of the caller's endpoints. :raises EndpointNotFound: unknown, or another's."""
    return queries.get_endpoint(endpoint_id, owner_id=principal().user_id, for_update=True)


def for_everybody() -> bool:
    """Whether the caller may have everybody's news sent somewhere."""
    return EVERYBODY in principal().scopes


def _to_edit(endpoint_id: UUID) -> WebhookEndpoint:
    endpoint = locked(endpoint_id)
    check_precondition(endpoint, EndpointSchema())
    return endpoint


@blp.route("")
class WebhookEndpoints(MethodView):
    """All of them."""

    @requires("webhooks:read")
    @blp.listing(queries.ENDPOINTS, EndpointSchema)
    def get(self) -> Select[WebhookEndpoint]:
        """List one's own webhook endpoints"""
        return queries.endpoints(principal().user_id)

    @requires("webhooks:write")
    @blp.arguments(EndpointSchema)
    @destination_checked
    @idempotent
    @blp.response(201, EndpointMadeSchema, location=lambda made: f"/api/v1/webhooks/{made.id}")
    @blp.raises(TooManyEndpoints)
    def post(self, data: dict[str, Any]) -> Made:
        """Make a webhook endpoint; only this answer shows its secret"""
        carries_secret()
        return endpoints.create(principal().user_id, data, for_everybody=for_everybody())


@blp.route("/<uuid:endpoint_id>")
class OneWebhookEndpoint(MethodView):
    """One of them."""

    @requires("webhooks:read")
    @blp.response(200, EndpointSchema)
    @blp.raises(EndpointNotFound)
    def get(self, endpoint_id: UUID) -> WebhookEndpoint:
        """Show a webhook endpoint"""
        return queries.get_endpoint(endpoint_id, owner_id=principal().user_id)

    @requires("webhooks:write")
    @blp.arguments(EndpointSchema)
    @destination_checked
    @blp.response(200, EndpointSchema)
    @blp.raises(EndpointNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def put(self, data: dict[str, Any], endpoint_id: UUID) -> WebhookEndpoint:
        """Replace a webhook endpoint; its secret stays"""
        return endpoints.update(_to_edit(endpoint_id), data, for_everybody=for_everybody())

    @requires("webhooks:write")
    @blp.arguments(EndpointSchema(partial=True))
    @destination_checked
    @blp.response(200, EndpointSchema)
    @blp.raises(EndpointNotFound, PreconditionFailed, EditConflict)
    @unit_of_work()
    def patch(self, data: dict[str, Any], endpoint_id: UUID) -> WebhookEndpoint:
        """Change part of a webhook endpoint; enabling it sends what has waited"""
        return endpoints.update(_to_edit(endpoint_id), data, for_everybody=for_everybody())

    @requires("webhooks:write")
    @blp.response(204)
    @blp.raises(EndpointNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, endpoint_id: UUID) -> None:
        """Delete a webhook endpoint and its deliveries"""
        endpoints.delete(_to_edit(endpoint_id))


@blp.route("/<uuid:endpoint_id>/rotate-secret")
class WebhookSecret(MethodView):
    """What signs."""

    @requires("webhooks:write")
    @blp.arguments(RotationSchema)
    @idempotent
    @blp.response(200, EndpointMadeSchema)
    @blp.raises(EndpointNotFound)
    def post(self, data: dict[str, Any], endpoint_id: UUID) -> Made:
        """Make another secret; for a while, the one before signs as well"""
        carries_secret()
        return endpoints.rotate_secret(
            locked(endpoint_id),
            keep_previous=timedelta(hours=data["keep_previous_hours"]),
            for_everybody=for_everybody(),
        )


@blp.route("/<uuid:endpoint_id>/test")
class WebhookTest(MethodView):
    """A message that says nothing."""

    @requires("webhooks:write")
    @blp.arguments(EmptySchema)
    @idempotent
    @blp.response(202, DeliverySchema)
    @blp.raises(EndpointNotFound, EndpointDisabled)
    def post(self, _: dict[str, Any], endpoint_id: UUID) -> WebhookDelivery:
        """Send `webhook.test` to this endpoint alone"""
        return replaying.send_test(locked(endpoint_id))
