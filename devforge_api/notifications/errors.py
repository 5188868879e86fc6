"""Refusals about notifications and streams."""

from __future__ import annotations

from devforge_api.core.errors import Conflict, DomainError, NotFound, TokenRefused


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


class TicketInvalid(TokenRefused):
    """This ticket is unknown, used or expired; ask for another one."""

    code = "TICKET_INVALID"


class WrongProcess(DomainError):
    """Streams are served at another address: the one that a ticket names."""

    status, code = 421, "MISDIRECTED_REQUEST"


class NoWebSocket(DomainError):
    """Only WebSocket is spoken here."""

    status, code = 400, "NO_WEBSOCKET"
