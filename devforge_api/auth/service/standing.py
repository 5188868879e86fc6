"""Who is still admitted: for whoever keeps callers longer than a request lasts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from uuid import UUID

from devforge_api.auth.queries import standing as queries
from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.auth.service.personal_tokens import scopes_of
from devforge_api.core.context import Principal

AT_ONCE = 500  # ids in one query


def admitted(*, sessions: Collection[UUID] = (), tokens: Collection[UUID] = ()) -> dict[UUID, Principal]:
    """Of these sessions and tools' tokens those that still admit, and whom, with their scopes of now."""
    found: dict[UUID, Principal] = {}
    for ids in _parts(sessions):
        for id_, user_id, role, version in queries.live_sessions_of(ids):
            found[id_] = Principal(user_id, role, ROLE_SCOPES[role], id_, version)
    for ids in _parts(tokens):
        for one in queries.live_tokens_of(ids):
            found[one.id] = Principal(one.user_id, one.role, scopes_of(one), None, one.token_version, one.id)
    return found


def _parts(ids: Collection[UUID]) -> Iterable[list[UUID]]:
    rest = iter(ids)
    while part := list(islice(rest, AT_ONCE)):
        yield part
