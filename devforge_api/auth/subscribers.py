"""What auth does when something happened elsewhere."""

from typing import Any
from uuid import UUID

from devforge_api.auth.models import RevokeReason
from devforge_api.auth.service import sessions
from devforge_api.core.outbox import on


@on("user.disabled")
def end_sessions(payload: dict[str, Any]) -> None:
    """A banned user's refresh tokens stay dead, also when the ban is lifted."""
    sessions.revoke_all(UUID(payload["user_id"]), RevokeReason.REVOKED)
