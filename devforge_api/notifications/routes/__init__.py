"""The domain's one blueprint; its modules add their routes to it."""

from devforge_api.core.api import Blueprint
from devforge_api.notifications import models  # noqa: F401 - its tables

blp = Blueprint(
    "notifications", __name__, url_prefix="/api/v1/notifications", description="What users are told, and how."
)

from devforge_api.notifications.routes import (  # noqa: E402 - they register on blp
    inbox,  # noqa: F401
    preferences,  # noqa: F401
    push,  # noqa: F401
)
