"""How streams' tickets look on the wire."""

from __future__ import annotations

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema

_TICKET = "J7mXkq0vB3yTz5Ls2WcRfUe8hNdPaGi4"


class TicketSchema(BaseSchema):
    """A ticket: this answer is the only one that shows it."""

    ticket = fields.String(metadata={"example": _TICKET})
    expires_at = fields.Timestamp(metadata={"example": "2026-01-15T09:31:00Z"})
    stream_url = fields.String(
        metadata={
            "description": "Server-sent events.",
            "example": f"http://127.0.0.1:8001/api/v1/realtime/stream?ticket={_TICKET}",
        }
    )
    ws_url = fields.String(
        metadata={"description": "WebSocket.", "example": f"ws://127.0.0.1:8001/ws?ticket={_TICKET}"}
    )


class StreamQuery(BaseSchema):
    """With what a stream is opened."""

    ticket = fields.Text(max=100, metadata={"description": "Instead of a token; works once."})
    last_event_id = fields.Text(
        max=100,
        metadata={
            "description": "The last id that was read: what came after it is sent first. "
            "The header `Last-Event-ID` says the same, and counts where both are sent.",
            "example": "41",
        },
    )
