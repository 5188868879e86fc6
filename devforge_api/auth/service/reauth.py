"""Proving once more who one is, before what a stolen token must not be enough for."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from devforge_api.auth import queries
from devforge_api.core.clock import utc_now

LASTS = timedelta(minutes=10)


def is_recent(session_id: UUID) -> bool:
    """Whether the session's user has proven within ten minutes who they are, by one query."""
    proven_at = queries.proven_at(session_id)
    return proven_at is not None and utc_now() - proven_at < LASTS
