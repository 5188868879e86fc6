"""Accounts, as their owners and the team's programs are told of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devforge_api.core.news import Data, tells


@tells(
    "user.created",
    "user.disabled",
    "user.email_changed",
    "user.email_verified",
    "user.enabled",
)
def tell_of_account(payload: dict[str, Any]) -> tuple[list[UUID], Data]:
    """The account's owner, the ids, and nothing of what is personal."""
    return [UUID(payload["user_id"])], payload


@tells("user.deleted")
def tell_of_deletion(payload: dict[str, Any]) -> tuple[list[UUID], Data]:
    """Nobody is left who could be told, but the team."""
    return [], payload
