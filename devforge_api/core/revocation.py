"""Denials that act on the next request of every process.

The database is the truth; Redis, where configured, holds the last denials so that a token check
costs one round trip. A denial is written to Redis *before* the commit (denying too much is the
safe side) and repeated from the outbox after it. While Redis is away, or has come back without
its memory, checks read the database (`denials_of` answers None), until the outbox's last denials
have been written again. Redis must not evict keys: ``maxmemory-policy noeviction``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from redis.exceptions import RedisError

from devforge_api.core.clock import utc_now
from devforge_api.core.outbox import emit, on, payloads_since
from devforge_api.core.realtime.publishing import tell_of_denial
from devforge_api.core.redis_link import Link, Script, redis_link

TTL = 16 * 60  # seconds; longer than any access token lives
MARKER = "devforge:denials:complete"
# A repeated denial may arrive late: it must not lower what a newer one has raised.
RAISE = Script("""
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
""")
MARK = Script("return redis.call('SET', KEYS[1], '1')")

EVENT = "auth.denied"


@dataclass(frozen=True, slots=True)
class Denials:
    """What Redis has to hold, and not to hold, to vouch for a token."""

    keys: tuple[str, str, str]
    token_version: int


@dataclass(slots=True)
class _Trust:
    """This process knows that Redis held every recent denial at this epoch of the link."""

    epoch: int = -1


def init_app(app: Flask) -> None:
    """Nothing is known of Redis yet."""
    app.extensions["devforge-revocation"] = _Trust()


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
    if link := redis_link():
        try:
            _write(link, key, value)
        except RedisError:
            pass  # the outbox repeats it, and meanwhile this process asks the database
    emit(EVENT, key=key, value=value)


@on(EVENT)
def repeat_denial(payload: dict[str, Any]) -> None:
    """Write a committed denial again; raises while Redis is away, so that it is retried."""
    if link := redis_link():
        _write(link, payload["key"], payload["value"])
        tell_of_denial(payload["key"].rpartition(":")[2])


def denials_of(session_id: UUID, user_id: UUID, token_version: int) -> Denials | None:
    """What to ask Redis for, or None where only the database knows.

    A denial that is found is left to the database to confirm: it was written before its commit,
    and where that failed, the user must not stay locked out.
    """
    link = redis_link()
    if link is None or link.breaker.is_open():
        return None
    if _trust().epoch != link.epoch and not _regain_trust(link):
        return None
    return Denials((MARKER, session_key(session_id), user_key(user_id)), token_version)


def distrust() -> None:
    """Ask the database until every recent denial is known to stand in Redis again."""
    _trust().epoch = -1


def _regain_trust(link: Link) -> bool:
    """Write every denial that may still matter, then say that Redis is complete."""
    epoch = link.epoch
    try:
        for denial in payloads_since(EVENT, utc_now() - timedelta(seconds=TTL)):
            _write(link, denial["key"], denial["value"])
        link.run(MARK, [MARKER], [])
    except RedisError:
        return False
    _trust().epoch = epoch
    return True


def _write(link: Link, key: str, value: str) -> None:
    """Store a denial, unless a stronger one is there."""
    link.run(RAISE, [key], [value, TTL])


def _trust() -> _Trust:
    found: _Trust = current_app.extensions["devforge-revocation"]
    return found
