"""A release is told to everybody who owns a licence of its product."""

from __future__ import annotations

from uuid import UUID

from devforge_api.core.outbox import emit
from devforge_api.licenses import queries

PAGE = 500  # users told by one event


def spread(release_id: UUID, *, after: UUID | None) -> None:
    """Tell a page of users, and of the next page; nobody once the release is withdrawn.

    :param after: the last user who has been told.
    """
    release = queries.release_story(release_id)
    if release is None:
        return
    owners = list(map(str, queries.owners_after(release.product_id, after, limit=PAGE)))
    ids = {"release_id": str(release_id), "product_id": str(release.product_id)}
    if owners:
        emit("release.available", **ids, user_ids=owners)
    if len(owners) == PAGE:
        emit("release.spread_on", release_id=ids["release_id"], after_user_id=owners[-1])
