"""A window that reads server-sent events (HTML Standard, 9.2)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable

from devforge_api.notifications.service import messages
from devforge_api.notifications.service.hub import Hub
from devforge_api.notifications.service.messages import Message
from devforge_api.notifications.service.streams import Ending, Stream

BEAT_SECONDS = 20.0  # after which a proxy, or the client, would take silence for the end
AGAIN_SECONDS = 1.0  # after which a feed that could not be read is read again
# How long a client waits before it connects again; drawn, so that not all come at once.
LEAST_RETRY, MOST_RETRY = 1000, 4000  # milliseconds


class EventStream:
    """The body of one answer, written as it comes.

    It waits for a client that reads slowly, and then holds no more than it has read of the feed last.
    :param at_end: called when it is over.

    It is no generator, as one that was never asked for its first part would not be told of its end.
    """

    def __init__(
        self,
        hub: Hub,
        stream: Stream,
        first: Iterable[Message],
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._hub = hub
        self._at_end = at_end
        self._stream = stream
        self._first: bytes | None = _retry() + b"".join(message.event for message in first)
        self._written = 0.0
        self._over = False

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> bytes:
        """What is to be sent next; waits for it."""
        if self._over:
            raise StopIteration
        part, self._first = self._first or self._next(), None
        self._written = time.monotonic()
        return part

    def close(self) -> None:
        """The client has gone, or the stream has ended."""
        self._over = True
        self._at_end()
        self._hub.close(self._stream)

    def _next(self) -> bytes:
        while True:
            if self._stream.ending is not None:
                self._over = True
                return _farewell(self._stream.ending)
            if told := self._hub.take(self._stream):
                return b"".join(message.event for message in told)
            left = self._written + BEAT_SECONDS - time.monotonic()
            if left <= 0:
                return b": still here\n\n"
            self._stream.wait(min(left, AGAIN_SECONDS) if self._stream.behind else left)


def _farewell(ending: Ending) -> bytes:
    told = b"" if ending.code is None else messages.failure(ending.code, ending.message).event
    return told + _retry()


def _retry() -> bytes:
    return b"retry: %d\n\n" % random.randint(LEAST_RETRY, MOST_RETRY)
