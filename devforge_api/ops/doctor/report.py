"""Runs examinations to their end, whatever is broken: one that fails or hangs is a finding, too.

What is printed is for the operator and tells more than ``/ready`` does, but never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.settings import SETTINGS
from devforge_api.ops.service import NotThere, in_thread

# Longer than a connection to the database is waited for, so that the real cause is told.
EXAMINATION_SECONDS = 5.0


class Health(StrEnum):
    """``warning``: it works, and should be looked at."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of a part, and what to do where it is not well."""

    part: str
    health: Health
    seen: str
    advice: str = ""


Examination = Callable[[], Iterator[Finding]]


def examine(app: Flask, examinations: Mapping[str, Examination]) -> list[Finding]:
    """Every part's findings in their order, after at most ``EXAMINATION_SECONDS``."""
    found: dict[str, list[Finding]] = {part: [] for part in examinations}
    running = {
        part: in_thread(f"doctor-{part}", partial(_collect, app, examination, found[part]))
        for part, examination in examinations.items()
    }
    wait(running.values(), timeout=EXAMINATION_SECONDS)
    findings = [
        finding for part, future in running.items() for finding in [*found[part], *_ending(part, future)]
    ]
    return [_without(secrets_in(app.config), finding) for finding in findings]


def _collect(app: Flask, examination: Examination, found: list[Finding]) -> None:
    with app.app_context():
        found.extend(examination())


def _ending(part: str, future: Future[None]) -> Iterator[Finding]:
    """What is to be said of an examination that did not come to its own end."""
    if not future.done():
        yield Finding(
            part,
            Health.FAILED,
            f"no answer within {EXAMINATION_SECONDS:.0f} s",
            "it hangs: look at what it waits for",
        )
    elif error := future.exception():
        yield Finding(part, Health.FAILED, *_cause(error))


def _cause(error: BaseException) -> tuple[str, str]:
    if isinstance(error, NotThere):
        return error.seen or "not as the code needs it", error.advice
    if isinstance(error, DBAPIError | PoolTimeout):
        return f"the database could not be asked: {first_line(error)}", "see `database` and `migrations`"
    if isinstance(error, RedisError):
        return f"Redis could not be asked: {first_line(error)}", "see `redis`"
    return f"{type(error).__name__}: {first_line(error)}", "this is a fault of ours: report it"


def first_line(error: BaseException) -> str:
    """A driver's own words without statement and parameters."""
    own = getattr(error, "orig", None) or error
    return (str(own).strip().splitlines() or [type(own).__name__])[0]


def secrets_in(settings: Mapping[str, Any]) -> set[str]:
    """What must never be printed: keys, tokens, and the passwords in addresses."""
    found: set[str] = set()
    for setting in SETTINGS:
        value = settings.get(setting.key) if setting.secret else None
        if isinstance(value, Mapping):  # of identity providers
            found |= {secret for one in value.values() for secret in one.secrets()}
            continue
        for text in value if isinstance(value, tuple) else (value or "",):
            found |= _passwords(text) if "://" in text else {text}
    return found - {""}


def _passwords(url: str) -> set[str]:
    parts = urlsplit(url)
    plain = parts.password or ""
    inside = {value for name, value in parse_qsl(parts.query) if "password" in name}
    return {plain, unquote(plain), *inside}


def _without(secrets: set[str], finding: Finding) -> Finding:
    seen = finding.seen
    for secret in sorted(secrets, key=len, reverse=True):
        seen = seen.replace(secret, "***")
    return replace(finding, seen=seen)
