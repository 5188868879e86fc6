"""One's own browsers, and the key that they are subscribed with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request
from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core import outbound
from devforge_api.core.context import principal
from devforge_api.core.db import release_connection, unit_of_work
from devforge_api.core.errors import PreconditionFailed, ValidationFailed
from devforge_api.core.idempotency import idempotent_outside
from devforge_api.core.outbound import DestinationRefused
from devforge_api.core.responses import check_precondition
from devforge_api.core.security import requires
from devforge_api.core.slots import lend_slot
from devforge_api.notifications import queries
from devforge_api.notifications.errors import PushSubscriptionNotFound, TooManyPushSubscriptions
from devforge_api.notifications.models import PushSubscription
from devforge_api.notifications.routes import blp
from devforge_api.notifications.schemas import (
    PushKeySchema,
    PushSubscriptionCreateSchema,
    PushSubscriptionSchema,
)
from devforge_api.notifications.service import browsers, push_keys


@blp.route("/push-key")
class PushKey(MethodView):
    """The server's key for Web Push."""

    @requires("notifications:read")
    @blp.response(200, PushKeySchema)
    def get(self) -> dict[str, str]:
        """Show the key with which a browser subscribes"""
        key = push_keys.find()
        if key is None:
            with unit_of_work():
                key = push_keys.make()
        return {"public_key": push_keys.public_half(key)}


@blp.route("/push-subscriptions")
class PushSubscriptions(MethodView):
    """The caller's browsers."""

    @requires("notifications:read")
    @blp.listing(queries.PUSH_SUBSCRIPTIONS, PushSubscriptionSchema)
    def get(self) -> Select[PushSubscription]:
        """List one's own browsers that take push messages"""
        return queries.push_subscriptions(principal().user_id)

    @requires("notifications:write")
    @blp.arguments(PushSubscriptionCreateSchema)
    @idempotent_outside
    @blp.response(
        201,
        PushSubscriptionSchema,
        location=lambda made: f"/api/v1/notifications/push-subscriptions/{made.id}",
    )
    @blp.raises(TooManyPushSubscriptions)
    def post(self, data: dict[str, Any]) -> PushSubscription:
        """Subscribe a browser, or say again that it is subscribed"""
        release_connection()
        try:
            with lend_slot():
                outbound.check_url(data["endpoint"])
        except DestinationRefused as error:
            raise ValidationFailed.of("endpoint", str(error), "DESTINATION_REFUSED") from None
        user_agent = request.user_agent.string[:255] or None
        with unit_of_work():
            return browsers.register(
                principal().user_id, endpoint=data["endpoint"], **data["keys"], user_agent=user_agent
            )


@blp.route("/push-subscriptions/<uuid:push_subscription_id>")
class OnePushSubscription(MethodView):
    """One of the caller's browsers. It is not edited: what a browser says anew replaces it."""

    @requires("notifications:read")
    @blp.response(200, PushSubscriptionSchema)
    @blp.raises(PushSubscriptionNotFound)
    def get(self, push_subscription_id: UUID) -> PushSubscription:
        """Show one of one's own browsers"""
        return queries.get_push_subscription(push_subscription_id, user_id=principal().user_id)

    @requires("notifications:write")
    @blp.response(204)
    @blp.raises(PushSubscriptionNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, push_subscription_id: UUID) -> None:
        """Unsubscribe a browser"""
        user_id = principal().user_id
        found = queries.get_push_subscription(push_subscription_id, user_id=user_id, for_update=True)
        check_precondition(found, PushSubscriptionSchema())
        browsers.remove(found)


@blp.route("/push-subscriptions/by-endpoint/<endpoint_hash>")
class PushSubscriptionByEndpoint(MethodView):
    """One of the caller's browsers, as it finds itself.

    The hash is SHA-256 of the endpoint's address, in hexadecimal digits: the address itself is a
    secret, and would stand in logs.
    """

    @requires("notifications:read")
    @blp.response(200, PushSubscriptionSchema)
    @blp.raises(PushSubscriptionNotFound)
    def get(self, endpoint_hash: str) -> PushSubscription:
        """Show one of one's own browsers by the hash of its endpoint"""
        return queries.get_push_subscription_at(endpoint_hash, user_id=principal().user_id)

    @requires("notifications:write")
    @blp.response(204)
    @blp.raises(PushSubscriptionNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, endpoint_hash: str) -> None:
        """Unsubscribe a browser by the hash of its endpoint"""
        user_id = principal().user_id
        found = queries.get_push_subscription_at(endpoint_hash, user_id=user_id, for_update=True)
        check_precondition(found, PushSubscriptionSchema())
        browsers.remove(found)
