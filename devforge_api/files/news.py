"""Files, as their owners are told of them: what became of one after its upload was answered."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devforge_api.core.news import Data, tells
from devforge_api.files import queries


@tells("file.available", "file.quarantined")
def tell_of_file(payload: dict[str, Any]) -> tuple[list[UUID], Data] | None:
    """The file as it stands, without any link; None where it is deleted meanwhile."""
    file = queries.find_file(UUID(payload["file_id"]))
    if file is None:
        return None
    return [file.user_id], {
        "file_id": str(file.id),
        "name": file.name,
        "purpose": file.purpose.value,
        "status": file.status.value,
        "reason": file.reason,
    }
