"""Users' own programs, told the news."""

from devforge_api.core.api import Blueprint

blp = Blueprint(
    "webhooks", __name__, url_prefix="/api/v1/webhooks", description="Users' own programs, told the news."
)

from devforge_api.webhooks.routes import deliveries, endpoints  # noqa: E402, F401 - they add themselves
