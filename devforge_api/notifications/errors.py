"""Refusals about notifications and streams."""

from __future__ import annotations

from devforge_api.core.errors import DomainError, TokenRefused


class TicketInvalid(TokenRefused):
    """This ticket is unknown, used or expired; ask for another one."""

    code = "TICKET_INVALID"


class WrongProcess(DomainError):
    """Streams are served at another address: the one that a ticket names."""

    status, code = 421, "MISDIRECTED_REQUEST"


class NoWebSocket(DomainError):
    """Only WebSocket is spoken here."""

    status, code = 400, "NO_WEBSOCKET"
