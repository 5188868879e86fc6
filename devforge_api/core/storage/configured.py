"""The storage that the settings name."""

from __future__ import annotations

from flask import current_app

from devforge_api.core.storage.base import Storage
from devforge_api.core.storage.bucket import Bucket
from devforge_api.core.storage.folder import Folder


def storage() -> Storage:
    """Where contents are kept; one for each application."""
    found: Storage | None = current_app.extensions.get("devforge-storage")
    if found is None:
        config = current_app.config
        url = config["STORAGE_URL"]
        found = Bucket(url, config) if url else Folder(config["DATA_DIR"] / "files")
        current_app.extensions["devforge-storage"] = found
    return found
