"""Files that users upload."""

from __future__ import annotations

from devforge_api.core.api import Blueprint
from devforge_api.files import models  # noqa: F401 - its tables

blp = Blueprint("files", __name__, url_prefix="/api/v1/files", description="Files that users upload.")
