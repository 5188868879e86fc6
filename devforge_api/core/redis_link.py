"""How this process talks to Redis: briefly, and not again at once after a failure."""

from __future__ import annotations

import time
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.2  # what a black-holed Redis may cost one call
PAUSE_SECONDS = 1.0  # for which nobody asks again


def connection_options() -> dict[str, Any]:
    """For every client: short time-outs, and one new attempt where a kept connection was cut."""
    return {
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }


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
