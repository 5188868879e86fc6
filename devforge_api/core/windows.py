"""Flask-Limiter's sliding window in Redis, counted, told and tied to denials by one call.

The library counts by one call and asks for what is left by a second; the check of the token
would be a third. Keys and arithmetic are the library's own (``limits.strategies``, sliding window
counter): a request weighs in the window before with the share of it that still lies within the
last ``expiry`` seconds.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

from limits.storage import MemoryStorage, RedisStorage

from devforge_api.core.redis_link import Link, Script
from devforge_api.core.revocation import Denials

# KEYS: previous window, current window [, marker, session's denial, user's denial].
# ARGV: limit, expiry in seconds [, token version].
# Answers "verdict previous previous_ms current current_ms"; the verdict is 1 counted, 0 over the
# limit, -1 denied, -2 without memory of denials. Whoever is denied costs nobody's budget.
COUNT = Script("""
if KEYS[3] then
    local found = redis.call('MGET', KEYS[3], KEYS[4], KEYS[5])
    if not found[1] then return '-2 0 0 0 0' end
    if found[2] or (found[3] and tonumber(ARGV[3]) < tonumber(found[3])) then return '-1 0 0 0 0' end
end
local limit, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000
local current_ms = redis.call('PTTL', KEYS[2])
if current_ms > 0 and current_ms < expiry then
    redis.call('RENAME', KEYS[2], KEYS[1])
    current_ms = current_ms + expiry
    redis.call('SET', KEYS[2], 0, 'PX', current_ms)
end
local current = current_ms > 0 and tonumber(redis.call('GET', KEYS[2])) or 0
local previous = tonumber(redis.call('GET', KEYS[1])) or 0
local previous_ms = previous > 0 and math.max(0, redis.call('PTTL', KEYS[1])) or 0
local verdict = 0
if math.floor(previous * previous_ms / expiry) + current + 1 <= limit then
    verdict, current = 1, current + 1
    if current_ms > 0 then
        redis.call('INCR', KEYS[2])
    else
        current_ms = expiry * 2
        redis.call('SET', KEYS[2], 1, 'PX', current_ms)
    end
end
return verdict .. ' ' .. previous .. ' ' .. previous_ms .. ' ' .. current .. ' ' .. current_ms
""")

FORGET = Script("return redis.call('DEL', KEYS[1], KEYS[2])")


class LocalWindows(MemoryStorage):
    """The library's windows in this process, for many threads.

    It starts a timer without a lock, so that two threads may start the same one, and the timer
    sweeps what they are counting.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        super().__init__()

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, unless the limit is reached."""
        with self._lock:
            return super().acquire_sliding_window_entry(key, limit, expiry, amount)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Both windows' counts, each with the seconds that it still lasts."""
        with self._lock:
            return super().get_sliding_window(key, expiry)

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget what was counted."""
        with self._lock:
            super().clear_sliding_window(key, expiry)

    def _MemoryStorage__expire_events(self) -> None:  # noqa: N802 - the timer's call, as it is mangled
        with self._lock:
            super()._MemoryStorage__expire_events()  # type: ignore[misc]


class Denied(Exception):
    """Nothing was counted: a denial of the token stands in Redis."""


class MemoryLost(Exception):
    """Nothing was counted: Redis does not hold the denials."""


@dataclass(frozen=True, slots=True)
class Window:
    """``admitted``: counted, or else over the limit; ``reset``: seconds from now."""

    admitted: bool
    remaining: int
    reset: int


class RedisWindows(RedisStorage):
    """The library's Redis storage, on the application's own link."""

    STORAGE_SCHEME = ["devforge-redis"]

    def __init__(self, uri: str, link: Link, **options: Any) -> None:
        self.link = link
        super().__init__(
            uri, connection_pool=link.client.connection_pool, key_prefix="devforge:limits", **options
        )

    def count(self, key: str, limit: int, expiry: int, denials: Denials | None) -> Window:
        """Count one request, unless it is over the limit or its token is not vouched for.

        :param expiry: length of the window, in seconds.
        :raises Denied: the token is refused. :raises MemoryLost: Redis cannot tell.
        :raises RedisError: see `Link.run`.
        """
        keys = self._windows(key)
        arguments = [limit, expiry]
        if denials:
            keys += denials.keys
            arguments.append(denials.token_version)
        verdict, previous, previous_ms, current, current_ms = map(
            int, self.link.run(COUNT, keys, arguments).split()
        )
        if verdict < 0:
            raise Denied if verdict == -1 else MemoryLost
        used = math.floor(previous * previous_ms / 1000 / expiry) + current
        return Window(verdict == 1, max(0, limit - used), _reset(previous, previous_ms, current_ms, expiry))

    def forget(self, key: str) -> None:
        """Count from nothing again. :raises RedisError: see `Link.run`."""
        self.link.run(FORGET, self._windows(key), [])

    def _windows(self, key: str) -> list[str]:
        return [
            self.prefixed_key(self._previous_window_key(key)),
            self.prefixed_key(self._current_window_key(key)),
        ]


def _reset(previous: int, previous_ms: int, current_ms: int, expiry: int) -> int:
    """Seconds until at least one more request is admitted, as the library tells it."""
    resets = [(current_ms / 1000) % expiry]
    if previous:
        resets.append((previous_ms / 1000) % (expiry / previous))
    return max(1, math.ceil(min(resets)))
