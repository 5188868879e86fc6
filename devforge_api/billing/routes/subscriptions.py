"""Subscriptions: what keeps licences going, and how its owner changes or ends it.

They begin by a checkout and end at the provider: there is nothing to POST, PUT or DELETE.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.billing import queries
from devforge_api.billing.errors import (
    ProviderRefused,
    ProviderUnavailable,
    SubscriptionEnded,
    SubscriptionNotFound,
)
from devforge_api.billing.models import Subscription
from devforge_api.billing.providers import find_provider
from devforge_api.billing.routes import blp
from devforge_api.billing.routes.shared import asking_provider, manager, reader
from devforge_api.billing.schemas.subscriptions import (
    SubscriptionCancelSchema,
    SubscriptionChangeSchema,
    SubscriptionSchema,
)
from devforge_api.billing.service import subscriptions
from devforge_api.billing.service.looking import look
from devforge_api.billing.service.providers.base import Provider
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import Forbidden
from devforge_api.core.schemas import EmptySchema
from devforge_api.core.security import requires
from devforge_api.licenses.errors import FingerprintTaken

REFUSALS = (SubscriptionNotFound, SubscriptionEnded, ProviderRefused, ProviderUnavailable)
Step = Callable[[Provider, Subscription], None]


def _take(subscription_id: UUID, step: Step) -> Subscription:
    """Ask the provider for something, and answer what has become of the subscription."""
    subscription = queries.get_subscription(subscription_id, reader_id=manager())
    provider = find_provider(subscription.provider)
    refused = None
    with asking_provider():
        try:
            step(provider, subscription)
        except ProviderRefused as error:  # perhaps because it is not as we think that it is
            refused = error
        settle = look(provider, subscription.order_id)
    with unit_of_work():
        settle()
    if refused is not None:
        raise refused
    return queries.get_subscription(subscription_id, reader_id=manager())


@blp.route("/subscriptions")
class Subscriptions(MethodView):
    """One's own; everybody's for staff."""

    @requires("billing:read")
    @blp.listing(queries.SUBSCRIPTIONS, SubscriptionSchema)
    def get(self) -> Select[Subscription]:
        """List subscriptions"""
        return queries.subscriptions(reader_id=reader())


@blp.route("/subscriptions/<uuid:subscription_id>")
class OneSubscription(MethodView):
    """One of them."""

    @requires("billing:read")
    @blp.response(200, SubscriptionSchema)
    @blp.raises(SubscriptionNotFound)
    def get(self, subscription_id: UUID) -> Subscription:
        """Show a subscription"""
        return queries.get_subscription(subscription_id, reader_id=reader())


@blp.route("/subscriptions/<uuid:subscription_id>/change")
class ChangeSubscription(MethodView):
    """Up or down."""

    @requires("billing:manage")
    @blp.arguments(SubscriptionChangeSchema)
    @blp.response(200, SubscriptionSchema)
    @blp.raises(*REFUSALS, FingerprintTaken)
    def post(self, data: dict[str, Any], subscription_id: UUID) -> Subscription:
        """Move a subscription to another price of its product

        The difference is prorated; licences keep their keys and move to the price's policy.
        """
        return _take(subscription_id, partial(subscriptions.change_price, **data))


@blp.route("/subscriptions/<uuid:subscription_id>/cancel")
class CancelSubscription(MethodView):
    """The end."""

    @requires("billing:manage")
    @blp.arguments(SubscriptionCancelSchema)
    @blp.response(200, SubscriptionSchema)
    @blp.raises(*REFUSALS)
    def post(self, data: dict[str, Any], subscription_id: UUID) -> Subscription:
        """End a subscription when what is paid for is over; for the team also now"""
        if manager() is not None and not data["at_period_end"]:
            queries.get_subscription(subscription_id, reader_id=manager())  # a stranger's is not there
            raise Forbidden
        return _take(subscription_id, partial(subscriptions.cancel, **data))


@blp.route("/subscriptions/<uuid:subscription_id>/resume")
class ResumeSubscription(MethodView):
    """Changing one's mind."""

    @requires("billing:manage")
    @blp.arguments(EmptySchema)
    @blp.response(200, SubscriptionSchema)
    @blp.raises(*REFUSALS)
    def post(self, _data: dict[str, Any], subscription_id: UUID) -> Subscription:
        """Take back that a subscription ends with its period"""
        return _take(subscription_id, subscriptions.resume)
