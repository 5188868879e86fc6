"""What notifications do when something happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from devforge_api.core import news
from devforge_api.core.mail import suppression
from devforge_api.core.mail.suppression import SuppressionReason
from devforge_api.core.news import News
from devforge_api.core.outbox import Lane, on
from devforge_api.notifications.service import pushing, telling
from devforge_api.users import service as users


@news.hears
def tell_users(item: News) -> None:
    """Tell people their news."""
    telling.tell(item)


@on("notification.push_due", outside=True, lane=Lane.STRANGERS)
def push(payload: dict[str, Any]) -> Callable[[], object] | None:
    """Send a push message to one browser."""
    return pushing.push(UUID(payload["notification_id"]), UUID(payload["subscription_id"]))


@on("user.email_verified")
def write_again(payload: dict[str, Any]) -> None:
    """An address that has just proven to work comes off the list of those that do not exist."""
    user = users.find_user(UUID(payload["user_id"]))
    if user is not None and user.email_verified:
        suppression.lift(user.email, SuppressionReason.BOUNCED)
