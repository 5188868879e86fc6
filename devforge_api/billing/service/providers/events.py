"""What the events of all providers have in common: they are signed about now, and have an id and a type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from devforge_api.billing.service.providers.base import Told

TOLERANCE = 300  # seconds between an event's signature and its arrival, either way
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")


def header(headers: Mapping[str, str], name: str) -> str:
    """A header, in whatever case its name came; empty where it is missing."""
    return next((value for given, value in headers.items() if given.lower() == name.lower()), "")


def read(body: bytes) -> Told:
    """The event of a body whose signature is good. :raises ValueError: it is none."""
    try:
        return as_told(json.loads(body.decode()))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def as_told(payload: Any) -> Told:
    """An event. :raises ValueError: it is none."""
    given = payload if isinstance(payload, dict) else {}
    event_id, kind = given.get("id", ""), given.get("type", "")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in (event_id, kind)):
        raise ValueError("an event has an id and a type")
    return Told(event_id, kind, given)
