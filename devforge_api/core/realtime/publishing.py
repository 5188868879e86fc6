"""Words to the realtime processes, by Redis: said once, to whoever listens just then.

Nothing rests on them. A realtime process that hears nothing finds what is in the feeds by looking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from devforge_api.core.json import dump
from devforge_api.core.redis_link import redis_link

CHANNEL = "devforge:realtime"


def poke(users: Iterable[UUID]) -> None:
    """There is something new in these users' feeds."""
    _say({"users": [str(user_id) for user_id in users]})


def publish(users: Iterable[UUID] | None, type_: str, data: dict[str, Any]) -> None:
    """Show users something that is over at once, such as that somebody is typing; fire and forget.

    :param users: to whom; None: to everybody who is connected.
    """
    to = None if users is None else [str(user_id) for user_id in users]
    _say({"users": to, "type": type_, "data": data})


def _say(words: dict[str, Any]) -> None:
    link = redis_link()
    if link is None or link.breaker.is_open():
        return
    try:
        link.client.publish(CHANNEL, dump(words))
    except RedisError:
        link.breaker.trip()
