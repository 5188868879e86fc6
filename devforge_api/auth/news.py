"""What concerns the ways into an account, as its owner is told of it, beside the letter about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devforge_api.core.news import Data, tells


@tells(
    "auth.identity_linked",
    "auth.identity_unlinked",
    "auth.mfa_disabled",
    "auth.mfa_enabled",
    "auth.new_device",
    "auth.password_changed",
    "auth.recovery_code_used",
    "auth.reuse_detected",
    "auth.token_created",
)
def tell_of_access(payload: dict[str, Any]) -> tuple[list[UUID], Data]:
    """The account's owner, and the ids."""
    return [UUID(payload["user_id"])], payload
