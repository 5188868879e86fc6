"""What a window is told: one message, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.json import dump
from devforge_api.core.maintenance import State
from devforge_api.core.realtime.feed import FeedEvent

# What a client may pass to the user's other windows.
PASSED_ON = frozenset({"presence", "typing"})


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    :param id: its place in the user's feed; None: it is over at once, and not repeated.
    """

    type: str
    data: dict[str, Any]
    at: datetime
    id: int | None = None

    @property
    def json(self) -> bytes:
        """As WebSocket sends it."""
        place = {} if self.id is None else {"id": self.id}
        return dump({**self._body(), **place})

    @property
    def event(self) -> bytes:
        """As an event stream has it (HTML Standard, 9.2.5); JSON has no line breaks of its own."""
        place = b"" if self.id is None else b"id: %d\n" % self.id
        return b"%sevent: %s\ndata: %s\n\n" % (place, self.type.encode(), dump(self._body()))

    def _body(self) -> dict[str, Any]:
        return {"type": self.type, "data": self.data, "timestamp": rfc3339(self.at)}


def of_feed(row: FeedEvent) -> Message:
    """A message of the user's feed."""
    return Message(row.type, row.data, row.created_at, row.id)


def passing(type_: str, data: dict[str, Any]) -> Message:
    """A message that is over at once."""
    return Message(type_, data, utc_now())


def ready(connection: str, position: int) -> Message:
    """The first one: from where on the window is told everything."""
    return Message("ready", {"connection": connection, "last_event_id": position}, utc_now(), position)


def failure(code: str, message: str, *, position: int | None = None) -> Message:
    """What is wrong.

    :param position: what comes after it follows in the feed from there.
    """
    return Message("error", {"code": code, "message": message}, utc_now(), position)


def truncated(position: int) -> Message:
    """The feed does not go back as far as was asked; it goes on after this place."""
    words = "Messages have been missed that are kept no longer: load your lists anew."
    return failure("FEED_TRUNCATED", words, position=position)


def status(state: State) -> Message:
    """Whether the service is read-only."""
    since = rfc3339(state.changed_at) if state.active and state.changed_at else None
    return passing(
        "system_status",
        {"maintenance": state.active, "message": state.message if state.active else None, "since": since},
    )
