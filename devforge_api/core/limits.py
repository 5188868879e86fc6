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
from typing import Any

from flask import Flask, current_app, g
from flask_limiter import Limiter
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from devforge_api.core.errors import RateLimited, Unavailable
from devforge_api.core.redis_link import Breaker, connection_options


class Limit(StrEnum):
    """The budgets; each is a configuration key, in requests a minute."""

    ANONYMOUS = "LIMIT_ANONYMOUS"
    USER = "LIMIT_USER"
    CREDENTIALS = "LIMIT_CREDENTIALS"
    ACCOUNT_FAILURES = "LIMIT_ACCOUNT_FAILURES"
    SESSION_REFRESH = "LIMIT_SESSION_REFRESH"


# A guess at a secret must be counted even while Redis is away.
FAIL_CLOSED = {Limit.CREDENTIALS, Limit.ACCOUNT_FAILURES}
# What is left of these is nobody's business: a count that begins anew would tell strangers that
# the account exists and that its owner has just signed in.
UNTOLD = {Limit.ACCOUNT_FAILURES}


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a limit; ``reset`` in seconds from now."""

    limit: int
    remaining: int
    reset: int


def init_app(app: Flask) -> None:
    """Attach Flask-Limiter to its storage; a black-holed Redis costs at most 0.2 s."""
    redis_url = app.config["REDIS_URL"]
    app.config["RATELIMIT_STORAGE_URI"] = redis_url or "memory://"
    if redis_url:
        options = {**connection_options(), "key_prefix": "devforge:limits"}
        app.config["RATELIMIT_STORAGE_OPTIONS"] = options
    limiter = Limiter(lambda: "each charge names its own key", strategy="sliding-window-counter")
    limiter.init_app(app)
    shared = limiter.limiter
    # Its own hook sees only matched routes and their decorators; the gateway charges all requests.
    limiter.enabled = False
    app.extensions["devforge-limits"] = {
        "shared": shared,
        "breaker": Breaker(),
        "local": SlidingWindowCounterRateLimiter(MemoryStorage()),
        "items": {limit: RateLimitItemPerMinute(app.config[limit]) for limit in Limit},
    }


def charge(limit: Limit, key: str) -> None:
    """Count one request against a budget, and remember the tightest one that headers may tell.

    :raises RateLimited: the budget is used up; nothing was counted.
    :raises Unavailable: a credential limit cannot be counted now.
    """
    budget, admitted = _strategy_call(limit, key)
    known: Budget | None = g.get("rate_budget")
    if limit not in UNTOLD and (known is None or budget.remaining <= known.remaining):
        g.rate_budget = budget
    if not admitted:
        raise RateLimited(budget.reset)


def forgive(limit: Limit, key: str) -> None:
    """Forget what was counted: the account's owner has signed in."""
    state = current_app.extensions["devforge-limits"]
    try:
        state["shared"].clear(state["items"][limit], limit.name, key)
    except RedisError:
        pass  # the count runs out by itself within a minute


def _strategy_call(limit: Limit, key: str) -> tuple[Budget, bool]:
    state = current_app.extensions["devforge-limits"]
    item = state["items"][limit]
    if not state["breaker"].is_open():
        try:
            return _hit(state["shared"], item, limit, key)
        except RedisError:
            state["breaker"].trip()
    if limit in FAIL_CLOSED:
        raise Unavailable(1)
    return _hit(state["local"], item, limit, key)


def _hit(strategy: Any, item: Any, limit: Limit, key: str) -> tuple[Budget, bool]:
    admitted = strategy.hit(item, limit.name, key)
    stats = strategy.get_window_stats(item, limit.name, key)
    reset = max(1, math.ceil(stats.reset_time - time.time()))
    return Budget(item.amount, max(0, stats.remaining), reset), admitted


def address_key(address: str | None) -> str:
    """The address that a limit counts: IPv6 by /64, mapped IPv4 as IPv4."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)
