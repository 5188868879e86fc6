"""The addresses of the built-in provider's portal: sealed, and open for an hour."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from devforge_api.core.signing import seal, unseal

PORTAL = "/billing/test/portal"
OPEN_FOR = timedelta(hours=1)


def portal_path(customer: str, return_url: str, now: datetime) -> str:
    """Where a customer manages what they have; who has the address needs no sign-in."""
    until = int((now + OPEN_FOR).timestamp())
    return f"{PORTAL}/{seal(PORTAL, json.dumps([customer, return_url, until]).encode())}"


def read_portal(sealed: str, now: datetime) -> tuple[str, str] | None:
    """The customer and where to return; None: not one of ours, or its hour is over."""
    body = unseal(PORTAL, sealed)
    if body is None:
        return None
    customer, return_url, until = json.loads(body)
    return None if now.timestamp() > until else (customer, return_url)
