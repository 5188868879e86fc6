"""Users' own programs, told the news."""

from __future__ import annotations

from devforge_api.core.api import Blueprint
from devforge_api.webhooks import models  # noqa: F401 - its tables

blp = Blueprint(
    "webhooks", __name__, url_prefix="/api/v1/webhooks", description="Users' own programs, told the news."
)
