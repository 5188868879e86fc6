"""What auth does when something happened elsewhere."""

from typing import Any
from uuid import UUID

from devforge_api.auth.models import RevokeReason
from devforge_api.auth.service import personal_tokens, sessions
from devforge_api.core.outbox import on


@on("user.disabled")
def end_sessions(payload: dict[str, Any]) -> None:
    """A banned user's refresh tokens and tools' tokens stay dead, also when the ban is lifted."""
    user_id = UUID(payload["user_id"])
    sessions.revoke_all(user_id, RevokeReason.REVOKED)
    personal_tokens.revoke_all(user_id)
