"""Denials that act on the next request of every process.

The database is the truth; Redis, where configured, holds the last denials so that a token check
costs one round trip. A denial is written to Redis *before* the commit (denying too much is the
safe side) and repeated from the outbox after it. While Redis is away, or has come back without
its memory, checks read the database (``check`` answers None), until the outbox's last denials
have been written again. Redis must not evict keys: ``maxmemory-policy noeviction``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import redis
from flask import Flask, current_app
from redis.exceptions import RedisError

from devforge_api.core.clock import utc_now
from devforge_api.core.outbox import emit, on, payloads_since
from devforge_api.core.redis_link import Breaker, connection_options

TTL = 16 * 60  # seconds; longer than any access token lives
MARKER = "devforge:denials:complete"
# A repeated denial may arrive late: it must not lower what a newer one has raised.
RAISE_SCRIPT = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

EVENT = "auth.denied"


class _State:
    def __init__(self, url: str) -> None:
        self.client: redis.Redis = redis.Redis.from_url(url, **connection_options())
        self._raise = self.client.register_script(RAISE_SCRIPT)
        self.trusted = False  # whether this process knows that Redis holds every recent denial
        self.breaker = Breaker()

    def write(self, key: str, value: str) -> None:
        """Store a denial, unless a stronger one is there."""
        self._raise(keys=[key], args=[value, TTL])


def init_app(app: Flask) -> None:
    """Connect to Redis where it is configured."""
    url = app.config["REDIS_URL"]
    app.extensions["devforge-revocation"] = _State(url) if url else None


def session_key(session_id: UUID | str) -> str:
    """Where the denial of a session stands."""
    return f"devforge:denied:session:{session_id}"


def user_key(user_id: UUID | str) -> str:
    """Where the least acceptable token version of a user stands."""
    return f"devforge:denied:user:{user_id}"


def deny_session(session_id: UUID) -> None:
    """Refuse every access token of a session from now on."""
    _deny(session_key(session_id), "1")


def deny_user(user_id: UUID, *, below_version: int) -> None:
    """Refuse every access token of a user whose ``ver`` is lower."""
    _deny(user_key(user_id), str(below_version))


def _deny(key: str, value: str) -> None:
    if state := _state():
        try:
            state.write(key, value)
        except RedisError:
            _distrust(state)
    emit(EVENT, key=key, value=value)


@on(EVENT)
def repeat_denial(payload: dict[str, Any]) -> None:
    """Write a committed denial again; raises while Redis is away, so that it is retried."""
    if state := _state():
        state.write(payload["key"], payload["value"])


def check(session_id: str, user_id: str, version: int) -> Literal[True] | None:
    """Whether a token is still admitted, or None where only the database knows.

    A denial found here is left to the database to confirm: it was written before its commit, and
    where that failed, the user must not stay locked out.
    """
    state = _state()
    if state is None or (not state.trusted and not _regain_trust(state)):
        return None
    try:
        found: Any = state.client.mget(MARKER, session_key(session_id), user_key(user_id))
    except RedisError:
        _distrust(state)
        return None
    marker, session_denied, least = found
    if marker is None:
        state.trusted = False
        return None
    admitted = session_denied is None and (least is None or version >= int(least))
    return True if admitted else None


def _regain_trust(state: _State) -> bool:
    """Write every denial that may still matter, then say that Redis is complete."""
    if state.breaker.is_open():
        return False
    try:
        for denial in payloads_since(EVENT, utc_now() - timedelta(seconds=TTL)):
            state.write(denial["key"], denial["value"])
        state.client.set(MARKER, "1")
    except RedisError:
        _distrust(state)
        return False
    state.trusted = True
    return True


def _distrust(state: _State) -> None:
    state.trusted = False
    state.breaker.trip()


def _state() -> _State | None:
    found: _State | None = current_app.extensions["devforge-revocation"]
    return found
