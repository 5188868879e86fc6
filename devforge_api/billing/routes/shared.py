"""Whose orders a caller may see, and how a provider is asked in a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from devforge_api.core.context import principal
from devforge_api.core.db import release_connection
from devforge_api.core.slots import lend_slot


def reader() -> UUID | None:
    """Who asks; None: somebody who may see everybody's."""
    caller = principal()
    return None if "billing:read_all" in caller.scopes else caller.user_id


def manager() -> UUID | None:
    """Whose subscriptions the caller may change; None: everybody's."""
    caller = principal()
    return None if "billing:write" in caller.scopes else caller.user_id


@contextmanager
def asking_provider() -> Iterator[None]:
    """Wait for a provider in this block, while another request has our slot and our connection."""
    release_connection()
    with lend_slot():
        yield
