"""How this process talks to Redis: briefly, and not again at once after a failure."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import redis
from flask import Flask, current_app
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.2  # what a black-holed Redis may cost one call
PAUSE_SECONDS = 1.0  # for which nobody asks again


class Breaker:
    """Remembers a failure for a second, so that an outage costs one time-out and not one a call."""

    def __init__(self) -> None:
        self._closed_from = 0.0

    def is_open(self) -> bool:
        """Whether Redis failed just now and need not be asked."""
        return time.monotonic() < self._closed_from

    def trip(self) -> None:
        """Note a failure."""
        self._closed_from = time.monotonic() + PAUSE_SECONDS

    def reset(self) -> None:
        """Ask again at once."""
        self._closed_from = 0.0


class Script:
    """A Lua script; Redis knows it by its digest once it has read it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Link:
    """One Redis.

    Scripts run on connections of their own, as many as there were calls at once: the client's pool
    asks the operating system before every command whether the connection is alive, which is half
    of what a short call costs.
    """

    def __init__(self, url: str) -> None:
        self.client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self.breaker = Breaker()
        self.epoch = 0  # grows with every failure: what was known of Redis's memory holds no longer
        self.forget_connections()
        _links.add(self)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """The script's answer. It must bear being run twice: a kept connection may have been cut.

        :raises RedisError: no answer in time, or a refusal; the breaker is open then.
        """
        try:
            try:
                return self._evaluate(script, keys, arguments)
            except RedisConnectionError:
                self.epoch += 1
                return self._evaluate(script, keys, arguments)
        except RedisError:
            self.epoch += 1
            self.breaker.trip()
            raise

    def forget_connections(self) -> None:
        """Make new ones from now on."""
        self._idle: deque[Any] = deque()

    def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        try:
            return self._ask("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:  # a new Redis, or an emptied one
            return self._ask("EVAL", script.text, len(keys), *keys, *arguments)

    def _ask(self, *command: str | int) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            connection.send_packed_command([_packed(command)], check_health=False)
            return connection.read_response()
        finally:
            self._idle.append(connection)  # one that has failed is closed, and opens anew by itself


def _packed(command: Sequence[str | int]) -> bytes:
    """A command as Redis reads it (RESP). The client packs every type, and takes four times as long."""
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _forget_connections() -> None:
    """A forked process must not share its parent's connections."""
    for link in _links:
        link.forget_connections()


os.register_at_fork(after_in_child=_forget_connections)


def init_app(app: Flask) -> None:
    """Connect to Redis where it is configured."""
    url = app.config["REDIS_URL"]
    app.extensions["devforge-redis"] = Link(url) if url else None


def redis_link() -> Link | None:
    """The application's Redis; None where none is configured."""
    link: Link | None = current_app.extensions["devforge-redis"]
    return link
