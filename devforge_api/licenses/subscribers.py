"""What licences do when something happened elsewhere."""

from typing import Any
from uuid import UUID

from devforge_api.core.outbox import on
from devforge_api.licenses.service import availability, lifecycle, revocations


@on("user.email_verified")
def hand_over_waiting_licenses(payload: dict[str, Any]) -> None:
    """Licences issued to the address become the user's."""
    lifecycle.claim_waiting(UUID(payload["user_id"]))


@on("user.disabled", "user.enabled")
def list_licenses_of_banned_owners(payload: dict[str, Any]) -> None:
    """Whoever asks is told by the verdict; whoever cannot ask reads the revocation list."""
    revocations.note_owner(UUID(payload["user_id"]))


@on("release.published")
def spread_release(payload: dict[str, Any]) -> None:
    """The product's users are told, a page at a time."""
    availability.spread(UUID(payload["release_id"]), after=None)


@on("release.spread_on")
def spread_release_on(payload: dict[str, Any]) -> None:
    """The next page."""
    availability.spread(UUID(payload["release_id"]), after=UUID(payload["after_user_id"]))
