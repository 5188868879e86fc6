"""One open window, and what it has yet to be told."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass
from threading import Event
from uuid import UUID

from devforge_api.core import maintenance
from devforge_api.core.context import Principal
from devforge_api.core.db import uuid7
from devforge_api.core.realtime import feed
from devforge_api.notifications.service import messages
from devforge_api.notifications.service.messages import Message

AT_ONCE = 100  # messages of the feed that are held in memory for one window
PASSING = 64  # messages that are over at once; of more, the oldest are not told
LIFETIME, JITTER = 3600.0, 0.1  # seconds; the share by which lifetimes differ


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream ends.

    :param close: WebSocket's code (RFC 6455 section 7.4).
    :param code: of the ``error`` that is sent before; None: the client just connects again.
    """

    name: str
    close: int
    message: str
    code: str | None = None


STOPPING = Ending("stopping", 1001, "The server stops; connect again.")
OLD = Ending("old", 1001, "This connection has served its time; connect again.")
DENIED = Ending("denied", 4401, "The session or token has ended.", "TOKEN_REVOKED")
REPLACED = Ending("replaced", 4409, "Too many streams are open: this was the oldest.", "STREAM_REPLACED")
FLOODING = Ending("flooding", 1008, "Too many messages were sent.", "RATE_LIMITED")
LEFT = Ending("left", 1000, "")  # the client has gone, or does not read


class Stream:
    """One connection of a user's. Others note what there is; it takes that when it can send.

    :param kind: ``sse`` or ``ws``.
    :param wake: set whenever there may be something to do.
    """

    def __init__(self, caller: Principal, kind: str, wake: Event | None = None) -> None:
        self.id = str(uuid7())
        self.caller = caller
        self.kind = kind
        self.position = 0
        self.behind = True
        self.ending: Ending | None = None
        self.until = time.monotonic() + LIFETIME * random.uniform(1 - JITTER, 1 + JITTER)
        self._wake = wake or Event()
        self._passing: deque[Message] = deque(maxlen=PASSING)

    @property
    def user_id(self) -> UUID:
        """Whose it is."""
        return self.caller.user_id

    @property
    def key(self) -> UUID:
        """The session's or the token's id: it ends with that."""
        found = self.caller.session_id or self.caller.token_id
        assert found is not None  # a principal has one of them
        return found

    def begin(self, after: str | None) -> list[Message]:
        """What a new window is told first; later, `take`.

        :param after: the id up to which the client has been told; None: it begins now.
        """
        state = maintenance.current()  # first: it takes a connection of its own
        # Whoever begins now has nothing to read but what comes, of which `look` tells.
        self.behind = after is not None
        last = feed.last_ids([self.user_id]).get(self.user_id, 0)
        known = _number(after)
        whole = after is None or (known is not None and self._is_kept(known, last))
        self.position = last if known is None or not whole else known
        told = [messages.ready(self.id, self.position)]
        if not whole:
            told.append(messages.truncated(self.position))
        if state.active:
            told.append(messages.status(state))
        return told

    def _is_kept(self, after: int, last: int) -> bool:
        """Whether everything that followed is still there. Ids are consecutive."""
        if after >= last:
            return after == last  # beyond it: of a database that has been put back since
        following = feed.read_after(self.user_id, after, limit=1)
        return bool(following) and following[0].id == after + 1

    def take(self) -> list[Message]:
        """What there is to tell now, at most so much at once; call again until there is nothing.

        :raises SQLAlchemyError: the feed cannot be read now; nothing is lost.
        """
        told = [self._passing.popleft() for _ in range(len(self._passing))]
        if self.behind:
            self.behind = False
            try:
                rows = feed.read_after(self.user_id, self.position, limit=AT_ONCE)
            except BaseException:
                self.behind = True
                self._passing.extendleft(reversed(told))
                raise
            for row in rows:
                if row.id != self.position + 1:
                    told.append(messages.truncated(row.id - 1))
                told.append(messages.of_feed(row))
                self.position = row.id
            self.behind = self.behind or len(rows) == AT_ONCE
        return told

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to do."""
        self._wake.wait(max(0.0, seconds))
        self._wake.clear()

    # --- called by others ----------------------------------------------------------------------
    def look(self) -> None:
        """There may be something new in the feed."""
        self.behind = True
        self._wake.set()

    def tell(self, message: Message) -> None:
        """Show this, if the window keeps up."""
        self._passing.append(message)
        self._wake.set()

    def end(self, ending: Ending) -> None:
        """Let it come to an end; the first reason counts."""
        self.ending = self.ending or ending
        self._wake.set()


def _number(text: str | None) -> int | None:
    """An id; None for what cannot be one."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
