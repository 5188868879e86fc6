"""All open windows of this process: who is connected, and what reaches them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from threading import Event
from typing import Any
from uuid import UUID

from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError

from devforge_api.auth.service import standing
from devforge_api.core import maintenance
from devforge_api.core.context import Occasion, Principal, acting
from devforge_api.core.errors import Unavailable
from devforge_api.core.realtime import feed
from devforge_api.core.realtime.publishing import Words, publish
from devforge_api.notifications.service import messages, streams
from devforge_api.notifications.service.messages import Message
from devforge_api.notifications.service.streams import Ending, Stream

SCOPE = "realtime:read"
MOST_OF_A_USER = 20  # of more, the oldest goes: somebody looks at the newest
FULL_SECONDS = 30  # after which those who found no room may try again
LOOKED_AT_ONCE = 500  # users in one query

OPEN = Gauge("devforge_realtime_streams", "Open streams.", ["kind"], multiprocess_mode="livesum")
SENT = Counter("devforge_realtime_messages_total", "Messages sent to open streams.", ["kind"])
ENDED = Counter("devforge_realtime_streams_ended_total", "Streams that have ended.", ["kind", "reason"])

log = logging.getLogger(__name__)


class Hub:
    """The windows of this process.

    :param context: enters the application's context, for the database.
    :param most: how many windows may be open.
    """

    def __init__(self, context: Callable[[], AbstractContextManager[Any]], *, most: int) -> None:
        self._context = context
        self._most = most
        self._guard = threading.Lock()
        self._by_user: dict[UUID, list[Stream]] = {}
        self._count = 0
        self._stopping = False
        self._seen: tuple[bool, str | None] | None = None

    # --- windows come and go -------------------------------------------------------------------
    def insist_on_room(self) -> None:
        """Refuse what cannot be served, before anything is used up for it.

        :raises Unavailable: too many windows are open, or the process ends.
        """
        if self._stopping or self._count >= self._most:
            raise Unavailable(1 if self._stopping else FULL_SECONDS)

    def open(self, caller: Principal, kind: str, wake: Event | None = None) -> Stream:
        """Count a window in; its user's others hear of it.

        :raises Unavailable: there is no room.
        """
        stream = Stream(caller, kind, wake)
        with self._guard:
            self.insist_on_room()
            others = self._by_user.setdefault(stream.user_id, [])
            others.append(stream)
            self._count += 1
            excess = [one for one in others if one.ending is None][:-MOST_OF_A_USER]
        OPEN.labels(kind).inc()
        for one in excess:
            one.end(streams.REPLACED)
        self._tell_presence(stream, "online")
        return stream

    def close(self, stream: Stream) -> None:
        """Count a window out, whoever has closed it; a second time does nothing."""
        with self._guard:
            others = self._by_user.get(stream.user_id, [])
            if stream not in others:
                return
            others.remove(stream)
            if not others:
                del self._by_user[stream.user_id]
            self._count -= 1
        stream.end(streams.LEFT)
        assert stream.ending is not None  # just now, at the latest
        OPEN.labels(stream.kind).dec()
        ENDED.labels(stream.kind, stream.ending.name).inc()
        if not self._stopping:
            self._tell_presence(stream, "offline")

    def _tell_presence(self, stream: Stream, status: str) -> None:
        with self._context():
            data = {"from": stream.id, "status": status}
            publish([stream.user_id], "presence", data, beside=stream.id)

    def begin(self, stream: Stream, after: str | None) -> list[Message]:
        """What a window is told first.

        :raises SQLAlchemyError: the feed cannot be read.
        """
        with self._context():
            return self._counted(stream, stream.begin(after))

    def take(self, stream: Stream) -> list[Message]:
        """What there is to tell a window now; nothing while the database is away, and later all."""
        try:
            with self._context():
                return self._counted(stream, stream.take())
        except SQLAlchemyError:
            log.exception("a feed could not be read yet")
            return []

    def pass_on(self, stream: Stream, type_: str, data: dict[str, Any]) -> None:
        """Show the user's other windows what one of them says."""
        with self._context():
            publish([stream.user_id], type_, {**data, "from": stream.id}, beside=stream.id)

    def _counted(self, stream: Stream, told: list[Message]) -> list[Message]:
        if told:
            SENT.labels(stream.kind).inc(len(told))
        return told

    # --- what reaches them ---------------------------------------------------------------------
    def hear(self, words: Words) -> None:
        """Act on what another process, or this one, has said (core/realtime/publishing.py)."""
        if (denied := words.get("denied")) is not None:
            self.check(lambda stream: denied in {str(stream.key), str(stream.user_id)})
        elif (type_ := words.get("type")) is None:
            for stream in self._streams(map(UUID, words["users"])):
                stream.look()
        else:
            to = words["users"]
            message = messages.passing(type_, words["data"])
            for stream in self._streams(None if to is None else map(UUID, to)):
                if stream.id != words.get("beside"):
                    stream.tell(message)

    def look_at_all(self) -> None:
        """Something may have been missed: everybody looks at their feed."""
        for stream in self._streams():
            stream.look()

    def look(self) -> None:
        """Wake those whose feed has gone on, by a query for some hundreds of users."""
        waiting: dict[UUID, list[Stream]] = {}
        for stream in self._streams():
            if not stream.behind:
                waiting.setdefault(stream.user_id, []).append(stream)
        users = list(waiting)
        for start in range(0, len(users), LOOKED_AT_ONCE):
            with self._context():
                found = feed.last_ids(users[start : start + LOOKED_AT_ONCE])
            for user_id, last in found.items():
                for stream in waiting[user_id]:
                    if stream.position < last:
                        stream.look()

    def check(self, concerns: Callable[[Stream], bool] = lambda _: True) -> None:
        """End the windows of those who are admitted no longer."""
        concerned = [stream for stream in self._streams() if concerns(stream)]
        if not concerned:
            return
        sessions = {stream.key for stream in concerned if stream.caller.session_id is not None}
        tokens = {stream.key for stream in concerned if stream.caller.session_id is None}
        with self._context(), acting(Occasion(kind="job", request_id="realtime-check")):
            admitted = standing.admitted(sessions=sessions, tokens=tokens)
        for stream in concerned:
            found = admitted.get(stream.key)
            if found is None or SCOPE not in found.scopes:
                stream.end(streams.DENIED)

    def tell_status(self) -> None:
        """Tell everybody when maintenance begins, ends or changes its words."""
        with self._context():
            state = maintenance.current()
        now = (state.active, state.message if state.active else None)
        if self._seen not in {None, now}:
            self._tell_all(messages.status(state))
        self._seen = now

    def end_old(self) -> None:
        """End the windows that have been open for long: processes and proxies change."""
        now = time.monotonic()
        self._end(streams.OLD, [stream for stream in self._streams() if stream.until <= now])

    def stop(self) -> None:
        """Let nobody in, and everybody out."""
        self._stopping = True
        self._end(streams.STOPPING, self._streams())

    def _tell_all(self, message: Message) -> None:
        for stream in self._streams():
            stream.tell(message)

    @staticmethod
    def _end(ending: Ending, of: Iterable[Stream]) -> None:
        for stream in of:
            stream.end(ending)

    def _streams(self, users: Iterable[UUID] | None = None) -> list[Stream]:
        with self._guard:
            if users is None:
                return [stream for found in self._by_user.values() for stream in found]
            return [stream for user_id in users for stream in self._by_user.get(user_id, ())]
