"""One's own avatar."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView

from devforge_api.core.context import principal
from devforge_api.core.db import unit_of_work
from devforge_api.core.security import requires
from devforge_api.core.uploads import Upload, receives
from devforge_api.files.errors import (
    AvatarNotFound,
    AvatarReplaced,
    FileNotFound,
    FileRejected,
    FileTypeRefused,
    QuotaExceeded,
)
from devforge_api.files.models import Purpose
from devforge_api.files.routes import avatar_blp
from devforge_api.files.routes.taking import check_room, standing, take
from devforge_api.files.schemas import AvatarSchema
from devforge_api.files.service import avatars
from devforge_api.users import service as users


@avatar_blp.route("")
class OwnAvatar(MethodView):
    """A picture of the caller."""

    @requires("profile:write")
    @receives(before=check_room)
    @avatar_blp.response(200, AvatarSchema)
    @avatar_blp.raises(FileTypeRefused, FileRejected, QuotaExceeded, AvatarReplaced)
    def put(self, upload: Upload) -> dict[str, Any]:
        """Replace one's own avatar; it is cut to a square, and shown to everybody"""
        file_id = take(upload, Purpose.AVATAR)
        try:
            file = standing(file_id)
        except FileNotFound as error:
            raise AvatarReplaced from error
        address = avatars.address_of(file.id)
        return {
            "id": file.id,
            "status": file.status,
            "avatar_url": address,
            "small_url": f"{address}?variant=small",
            "medium_url": f"{address}?variant=medium",
        }

    @requires("profile:write")
    @avatar_blp.response(204)
    @avatar_blp.raises(AvatarNotFound)
    @unit_of_work()
    def delete(self) -> None:
        """Remove one's own avatar"""
        if not avatars.take_away(users.get_user(principal().user_id, for_update=True)):
            raise AvatarNotFound
