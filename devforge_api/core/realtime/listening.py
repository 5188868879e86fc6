"""Hearing what is said to the realtime processes, by a Redis connection of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devforge_api.core.json import parse
from devforge_api.core.realtime.publishing import CHANNEL, Words

CONNECT_SECONDS, AGAIN_SECONDS = 1.0, 0.5
# A connection that says nothing is asked as often whether it is there.
ASKED_EVERY = 5

log = logging.getLogger(__name__)


def listen_for_ever(
    url: str, *, joined: Callable[[], None], lost: Callable[[], None], hear: Callable[[Words], None]
) -> NoReturn:
    """Hear what is said, and begin again whenever Redis has been away.

    :param joined: everything is heard from now on; what was said before may have been missed.
    :param lost: nothing is heard until ``joined`` is called again.
    """
    while True:
        try:
            _listen(url, joined, hear)
        except (RedisError, OSError) as error:
            log.warning("realtime hears nothing from Redis: %s", type(error).__name__)
        except Exception:
            log.exception("realtime hears nothing from Redis")
        lost()
        time.sleep(AGAIN_SECONDS)


def _listen(url: str, joined: Callable[[], None], hear: Callable[[Words], None]) -> NoReturn:
    client: redis.Redis = redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=CONNECT_SECONDS,
        health_check_interval=ASKED_EVERY,
        retry=Retry(NoBackoff(), 0),
    )
    make: Any = client.pubsub  # has no types of its own
    with client, make() as channel:
        channel.subscribe(CHANNEL)
        while True:
            said: dict[str, Any] | None = channel.get_message(timeout=CONNECT_SECONDS)
            if said is None:
                channel.check_health()
            elif said["type"] == "subscribe":  # also where the client has connected anew by itself
                joined()
            elif said["type"] == "message":
                hear(parse(said["data"]))
