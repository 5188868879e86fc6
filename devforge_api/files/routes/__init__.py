"""The domain's one blueprint, and that of avatars below the user; its modules add their routes."""

from devforge_api.core.api import Blueprint

blp = Blueprint("files", __name__, url_prefix="/api/v1/files", description="Files that users upload.")
avatar_blp = Blueprint(
    "avatars", __name__, url_prefix="/api/v1/users/me/avatar", description="Pictures of users."
)

from devforge_api.files.routes import (  # noqa: E402, F401 - they register on the blueprints
    avatars,
    content,
    files,
)
