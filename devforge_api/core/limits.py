"""Rate limits, counted by Flask-Limiter's sliding window and charged at one place: the gateway.

Without an answer from Redis, ordinary routes are counted in this process and credential routes
are refused, so that an outage never means unlimited guesses.
"""

from __future__ import annotations

import ipaddress
import math
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from flask import Flask, current_app, g
from flask_limiter import Limiter
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from devforge_api.core import revocation
from devforge_api.core.errors import RateLimited, Unavailable
from devforge_api.core.redis_link import Link
from devforge_api.core.revocation import Denials
from devforge_api.core.windows import Denied, LocalWindows, MemoryLost, RedisWindows


class Limit(StrEnum):
    """The budgets; each is a configuration key, in requests a minute."""

    ANONYMOUS = "LIMIT_ANONYMOUS"
    USER = "LIMIT_USER"
    CREDENTIALS = "LIMIT_CREDENTIALS"
    ACCOUNT_FAILURES = "LIMIT_ACCOUNT_FAILURES"
    SESSION_REFRESH = "LIMIT_SESSION_REFRESH"
    EXPORTS = "LIMIT_EXPORTS"
    DEVICE_CODES = "LIMIT_DEVICE_CODES"
    WEBHOOKS = "LIMIT_WEBHOOKS"


UNKNOWN_ADDRESS = "unknown"
MINUTE = 60  # the window's length, in seconds
# A guess at a secret must be counted even while Redis is away.
FAIL_CLOSED = {Limit.CREDENTIALS, Limit.ACCOUNT_FAILURES, Limit.DEVICE_CODES}
# What is left of these is nobody's business: a count that begins anew would tell strangers that
# the account exists and that its owner has just signed in.
UNTOLD = {Limit.ACCOUNT_FAILURES}


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a limit; ``reset`` in seconds from now."""

    limit: int
    remaining: int
    reset: int


@dataclass(frozen=True, slots=True)
class _State:
    """Where requests are counted: in Redis if there is one, else (or while it is away) here."""

    items: dict[Limit, RateLimitItem]
    shared: RateLimiter
    local: RateLimiter
    link: Link | None


def init_app(app: Flask) -> None:
    """Attach Flask-Limiter to its storage; a black-holed Redis costs at most 0.2 s."""
    link: Link | None = app.extensions["devforge-redis"]
    app.config["RATELIMIT_STORAGE_URI"] = "memory://"
    if link:
        app.config["RATELIMIT_STORAGE_URI"] = f"{RedisWindows.STORAGE_SCHEME[0]}://"
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {"link": link}
    limiter = Limiter(lambda: "each charge names its own key", strategy="sliding-window-counter")
    hooks: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    before = [list(kind[None]) for kind in hooks]
    limiter.init_app(app)
    # Its own hooks see only matched routes and their decorators; the gateway charges all requests.
    for kind, kept in zip(hooks, before, strict=True):
        kind[None] = kept
    shared = limiter.limiter
    app.extensions["devforge-limits"] = _State(
        items={limit: RateLimitItemPerMinute(app.config[limit]) for limit in Limit},
        shared=shared,
        local=SlidingWindowCounterRateLimiter(LocalWindows()),
        link=link,
    )


def charge(limit: Limit, key: str) -> Budget:
    """Count one request against a budget, and remember the tightest one that headers may tell.

    :returns: what is left of it.

    :raises RateLimited: the budget is used up; nothing was counted.
    :raises Unavailable: a credential limit cannot be counted now.
    """
    state = _state()
    budget = _charge_in_redis(state, limit, key, None)
    if budget is None:
        if limit in FAIL_CLOSED and state.link:
            raise Unavailable(1)
        budget = _charge_here(state.local if state.link else state.shared, state.items[limit], limit, key)
    return budget


def charge_unless_denied(limit: Limit, key: str, denials: Denials) -> bool:
    """The same by one call that also asks for denials; False: nothing was counted.

    Either Redis did not answer, or it does not vouch for the token: the database has to.
    """
    return _charge_in_redis(_state(), limit, key, denials) is not None


def forgive(limit: Limit, key: str) -> None:
    """Forget what was counted, by one call: the account's owner has signed in."""
    state = _state()
    item = state.items[limit]
    if state.link is None:
        state.shared.clear(item, limit.name, key)
        return
    storage: Any = state.shared.storage
    try:
        storage.forget(item.key_for(limit.name, key))
    except RedisError:
        pass  # the count runs out by itself within a minute


def _charge_in_redis(state: _State, limit: Limit, key: str, denials: Denials | None) -> Budget | None:
    """What is left after Redis has counted the request; None: it has not."""
    if state.link is None or state.link.breaker.is_open():
        return None
    storage: Any = state.shared.storage
    item = state.items[limit]
    epoch = state.link.epoch
    try:
        window = storage.count(item.key_for(limit.name, key), item.amount, MINUTE, denials)
    except MemoryLost:
        revocation.distrust()
        return None
    except (Denied, RedisError):
        return None
    if denials and state.link.epoch != epoch:
        return None  # answered by a new connection: perhaps by a Redis that came back with gaps
    return _settle(limit, Budget(item.amount, window.remaining, window.reset), admitted=window.admitted)


def _charge_here(strategy: RateLimiter, item: RateLimitItem, limit: Limit, key: str) -> Budget:
    admitted = strategy.hit(item, limit.name, key)
    stats = strategy.get_window_stats(item, limit.name, key)
    reset = max(1, math.ceil(stats.reset_time - time.time()))
    return _settle(limit, Budget(item.amount, max(0, stats.remaining), reset), admitted=admitted)


def _settle(limit: Limit, budget: Budget, *, admitted: bool) -> Budget:
    known: Budget | None = g.get("rate_budget")
    if limit not in UNTOLD and (known is None or budget.remaining <= known.remaining):
        g.rate_budget = budget
    if not admitted:
        raise RateLimited(budget.reset)
    return budget


def _state() -> _State:
    state: _State = current_app.extensions["devforge-limits"]
    return state


@lru_cache(maxsize=4096)
def address_key(address: str | None) -> str:
    """The address that a limit counts: IPv6 by /64, mapped IPv4 as IPv4."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)
