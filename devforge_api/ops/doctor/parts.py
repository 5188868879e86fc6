"""Settings, folders, Redis, the broker, jobs, maintenance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import func, select

from config.secrets import weakness
from devforge_api.core import maintenance
from devforge_api.core.clock import rfc3339
from devforge_api.core.db import db
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.ops import service
from devforge_api.ops.doctor.report import Finding, Health, first_line

LITTLE_ROOM = 500_000_000  # bytes
REALTIME_SECONDS, LONGEST_ANSWER = 3.0, 1000  # bytes
SLOW_REDIS = 0.05  # seconds; a request asks it once or twice and gives up after 0.2


def settings() -> Iterator[Finding]:
    """They could be read, or there would be no application; is what they say wise?"""
    told = current_app.config
    warn = partial(Finding, "settings", Health.WARNING)
    yield Finding("settings", Health.OK, f"all are known and readable; DEVFORGE_ENV is {told['ENV']}")
    for name in ("SECRET_KEY", "MASTER_KEY"):
        for reason in filter(None, map(weakness, told[name + "S"])):
            yield warn(f"DEVFORGE_{name} {reason}", "use `openssl rand -base64 48`")
    if not told["REQUIRE_HTTPS"]:
        if told["PUBLIC_URL"].startswith("https://"):
            yield warn("served to the public without production's rules", "set DEVFORGE_ENV=production")
        return
    if not told["TRUSTED_PROXIES"]:
        yield warn(
            "no proxy is trusted: everything but the probes is refused as HTTPS_REQUIRED",
            "set DEVFORGE_TRUSTED_PROXIES to the number of proxies in front",
        )
    if not told["METRICS_TOKEN"]:
        yield warn("/metrics is not served", "set DEVFORGE_METRICS_TOKEN")


def redis(url: str) -> Iterator[Finding]:
    """It answers quickly, and forgets nothing by itself."""
    try:
        with service.redis_client(url) as client:
            client.ping()  # connects
            begun = time.perf_counter()
            client.ping()
            seconds = time.perf_counter() - begun
            about: Any = client.info()
    except RedisError as error:
        yield Finding("redis", Health.FAILED, first_line(error), "is it running? check DEVFORGE_REDIS_URL")
        return
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = about.get("valkey_version") or about.get("redis_version")
    seen = f"{name} {version} answers in {seconds * 1000:.1f} ms"
    if seconds > SLOW_REDIS:
        yield Finding("redis", Health.WARNING, seen, "every request asks it: bring it nearer")
    else:
        yield Finding("redis", Health.OK, seen)
    if (policy := about.get("maxmemory_policy", "noeviction")) != "noeviction":
        yield Finding(
            "redis",
            Health.FAILED,
            f"maxmemory-policy is {policy}: revoked tokens could be admitted again",
            "set `maxmemory-policy noeviction`",
        )


def realtime(url: str) -> Iterator[Finding]:
    """Streams are served where clients are told that they are."""
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=REALTIME_SECONDS) as answer:  # noqa: S310 - http(s)
            answer.read(LONGEST_ANSWER)
    except (OSError, HTTPException) as error:
        seen = f"{url} does not answer: {first_line(error)}"
        advice = "is `flask realtime` running? check DEVFORGE_REALTIME_URL and the proxy"
        yield Finding("realtime", Health.WARNING, seen, advice)
        return
    yield Finding("realtime", Health.OK, f"{url} answers")


def broker(url: str) -> Iterator[Finding]:
    """Celery's Redis answers."""
    try:
        yield Finding("broker", Health.OK, service.check_redis(url))
    except RedisError as error:
        yield Finding(
            "broker", Health.FAILED, first_line(error), "is it running? check DEVFORGE_CELERY_BROKER_URL"
        )


def storage() -> Iterator[Finding]:
    """The folders that are written to can be, and have room."""
    folders: list[Path] = [current_app.config["DATA_DIR"]]
    url = db.engine.url
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    for folder in {folder.resolve(): None for folder in folders}:
        try:
            free = service.free_bytes(folder)
            seen = f"{folder}: {service.check_room(free)}"
        except service.NotThere as error:
            yield Finding("storage", Health.FAILED, f"{folder}: {error.seen}", error.advice)
            continue
        if free < LITTLE_ROOM:
            yield Finding("storage", Health.WARNING, seen, "make room")
        else:
            yield Finding("storage", Health.OK, seen)


def jobs() -> Iterator[Finding]:
    """Events are delivered in time, and none was set aside."""
    statement = select(func.count()).where(OutboxRow.status == OutboxStatus.DEAD)
    if dead := db.session.scalar(statement):
        yield Finding(
            "jobs",
            Health.WARNING,
            f"{dead} events were set aside",
            "`flask outbox list` says why; then `flask outbox replay --all`",
        )
    yield Finding("jobs", Health.OK, service.check_jobs(current_app.config["JOB_LAG_LIMIT"]))


def maintenance_mode() -> Iterator[Finding]:
    """Writes are admitted."""
    state = maintenance.read()
    if not state.active:
        yield Finding("maintenance", Health.OK, "off")
        return
    since = rfc3339(state.changed_at) if state.changed_at else "?"
    yield Finding(
        "maintenance", Health.WARNING, f"writes are refused since {since}", "`flask maintenance off` ends it"
    )
