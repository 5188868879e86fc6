"""What a licence's row tells of its use, written without an edit of the licence."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Update, update

from devforge_api.licenses.models import License


def unedited(*which: ColumnElement[bool], **values: Any) -> Update:
    """An update after which nobody has edited the licences: version and ``updated_at`` stay."""
    statement = update(License).where(*which).values(updated_at=License.updated_at, **values)
    return statement.execution_options(synchronize_session=False)
