"""How notifications refuse."""

from __future__ import annotations

from devforge_api.core.errors import Conflict, NotFound


class NotificationNotFound(NotFound):
    """There is no such notification."""

    code = "NOTIFICATION_NOT_FOUND"


class PushSubscriptionNotFound(NotFound):
    """There is no such push subscription."""

    code = "PUSH_SUBSCRIPTION_NOT_FOUND"


class TooManyPushSubscriptions(Conflict):
    """You have as many push subscriptions as possible; remove one first."""

    code = "TOO_MANY_PUSH_SUBSCRIPTIONS"


class UnsubscribeLinkInvalid(NotFound):
    """This link is not one of our letters'."""

    code = "UNSUBSCRIBE_LINK_INVALID"
