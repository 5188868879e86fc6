"""Words to the realtime processes, by Redis: said once, to whoever listens just then.

Nothing rests on them. A realtime process that hears nothing finds what is in the feeds by looking.
Where there is no Redis, only this process hears what it says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from redis.exceptions import RedisError

from devforge_api.core.json import dump
from devforge_api.core.redis_link import redis_link

CHANNEL = "devforge:realtime"
Words = dict[str, Any]


def listen(app: Flask, hear: Callable[[Words], None]) -> None:
    """Have a realtime process hear what it says while there is no Redis."""
    app.extensions["devforge-listener"] = hear


def poke(users: Iterable[UUID]) -> None:
    """There is something new in these users' feeds."""
    _say({"users": [str(user_id) for user_id in users]})


def publish(
    users: Iterable[UUID] | None, type_: str, data: dict[str, Any], *, beside: str | None = None
) -> None:
    """Show users something that is over at once, such as that somebody is typing; fire and forget.

    :param users: to whom; None: to everybody who is connected.
    :param beside: the one connection that is not told, as it has said so itself.
    """
    to = None if users is None else [str(user_id) for user_id in users]
    _say({"users": to, "type": type_, "data": data, "beside": beside})


def tell_of_denial(id_: str) -> None:
    """A session, or all of a user's, may be admitted no longer: look whether its connections have to end."""
    _say({"denied": id_})


def _say(words: Words) -> None:
    link = redis_link()
    if link is not None and not link.breaker.is_open():
        try:
            link.client.publish(CHANNEL, dump(words))
            return
        except RedisError:
            link.breaker.trip()
    hear: Callable[[Words], None] | None = current_app.extensions.get("devforge-listener")
    if hear is not None:
        hear(words)
