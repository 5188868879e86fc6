"""What one has been told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import PreconditionFailed
from devforge_api.core.responses import check_precondition
from devforge_api.core.security import requires
from devforge_api.notifications import queries
from devforge_api.notifications.errors import NotificationNotFound
from devforge_api.notifications.models import Notification
from devforge_api.notifications.routes import blp
from devforge_api.notifications.schemas import (
    MarkedSchema,
    MarkSchema,
    NotificationSchema,
    UnreadSchema,
)
from devforge_api.notifications.service import inbox
from devforge_api.notifications.service.inbox import Marked


@blp.route("")
class Notifications(MethodView):
    """The caller's notifications."""

    @requires("notifications:read")
    @blp.listing(queries.NOTIFICATIONS, NotificationSchema)
    def get(self) -> Select[Notification]:
        """List one's own notifications; `read=false` gives what is unread"""
        return queries.notifications(principal().user_id)


@blp.route("/unread-count")
class UnreadCount(MethodView):
    """The number of a badge."""

    @requires("notifications:read")
    @blp.response(200, UnreadSchema)
    def get(self) -> dict[str, int]:
        """Count what one has not read"""
        return {"unread": queries.count_unread(principal().user_id)}


@blp.route("/read")
class ReadMarks(MethodView):
    """What has been read."""

    @requires("notifications:write")
    @blp.arguments(MarkSchema)
    @blp.response(200, MarkedSchema)
    @unit_of_work()
    def post(self, data: dict[str, Any]) -> Marked:
        """Mark notifications as read, or as unread again"""
        user_id = principal().user_id
        if data["all"]:
            return inbox.mark_all(user_id, before=data["before"])
        return inbox.mark(user_id, data["ids"], read=data["read"])


@blp.route("/<uuid:notification_id>")
class OneNotification(MethodView):
    """One of the caller's notifications. What it says is not edited."""

    @requires("notifications:read")
    @blp.response(200, NotificationSchema)
    @blp.raises(NotificationNotFound)
    def get(self, notification_id: UUID) -> Notification:
        """Show one of one's own notifications"""
        return queries.get_notification(notification_id, user_id=principal().user_id)

    @requires("notifications:write")
    @blp.response(204)
    @blp.raises(NotificationNotFound, PreconditionFailed)
    @unit_of_work()
    def delete(self, notification_id: UUID) -> None:
        """Remove one of one's own notifications"""
        notification = inbox.lock(notification_id, user_id=principal().user_id)
        check_precondition(notification, NotificationSchema())
        inbox.remove(notification)
