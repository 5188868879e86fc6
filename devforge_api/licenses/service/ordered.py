"""Licences that were bought, for the domain which knows what became of the money."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.licenses import queries
from devforge_api.licenses.models import CauseKind, License, LicenseStatus

__all__ = ["CauseKind", "License", "LicenseStatus", "lock_licenses"]


def lock_licenses(license_ids: Iterable[UUID]) -> dict[UUID, License]:
    """Hold several licences until commit, in the order in which everybody locks them.

    :returns: those that there are, with their plans, by id.
    """
    locked = select(License.id).where(License.id.in_(list(license_ids))).order_by(License.id)
    held = db.session.scalars(locked.with_for_update()).all()
    return {found: queries.get_license(found, owner_id=None) for found in held}
