"""What one wants to be told by which channel."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import PreconditionFailed
from devforge_api.core.responses import check_precondition
from devforge_api.core.security import requires
from devforge_api.notifications.routes import blp
from devforge_api.notifications.schemas import PreferencesSchema
from devforge_api.notifications.service import preferences
from devforge_api.users import service as users


def _own() -> dict[str, Any]:
    found = preferences.of_user(principal().user_id)
    return {**found.chosen, "defaults": found.defaults, "fixed": found.fixed}


def _chosen(data: dict[str, Any], *, others_to_default: bool) -> dict[str, Any]:
    # Its user is locked, so that of two who choose at once the second one sees what the first did.
    user = users.get_user(principal().user_id, for_update=True)
    check_precondition(_own(), PreferencesSchema())
    preferences.choose(user.id, data, others_to_default=others_to_default)
    return _own()


@blp.route("/preferences")
class Preferences(MethodView):
    """The caller's preferences."""

    @requires("notifications:read")
    @blp.response(200, PreferencesSchema)
    def get(self) -> dict[str, Any]:
        """Show what one is told by which channel"""
        return _own()

    @requires("notifications:write")
    @blp.arguments(PreferencesSchema)
    @blp.response(200, PreferencesSchema)
    @blp.raises(PreconditionFailed)
    @unit_of_work()
    def put(self, data: dict[str, Any]) -> dict[str, Any]:
        """Choose for all kinds; what is left out goes back to its default"""
        return _chosen(data, others_to_default=True)

    @requires("notifications:write")
    @blp.arguments(PreferencesSchema(partial=True))
    @blp.response(200, PreferencesSchema)
    @blp.raises(PreconditionFailed)
    @unit_of_work()
    def patch(self, data: dict[str, Any]) -> dict[str, Any]:
        """Choose for some kinds and channels"""
        return _chosen(data, others_to_default=False)
