"""What can be looked up about features."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.licenses.models import Entitlement, LicenseEntitlement


def entitlement_ids(codes: Iterable[str]) -> dict[str, UUID]:
    """The ids of those codes that are known."""
    statement = select(Entitlement.code, Entitlement.id).where(Entitlement.code.in_(set(codes)))
    return {row.code: row.id for row in db.session.execute(statement)}


def own_entitlements(license_id: UUID) -> tuple[tuple[str, datetime | None], ...]:
    """Codes that a licence has beside its policy's, each with the moment from which on it has not."""
    return own_entitlements_of([license_id]).get(license_id, ())


def own_entitlements_of(
    license_ids: Iterable[UUID],
) -> dict[UUID, tuple[tuple[str, datetime | None], ...]]:
    """The same for many licences; those without any are left out."""
    statement = (
        select(LicenseEntitlement.license_id, Entitlement.code, LicenseEntitlement.expires_at)
        .join(Entitlement, Entitlement.id == LicenseEntitlement.entitlement_id)
        .where(LicenseEntitlement.license_id.in_(list(license_ids)))
        .order_by(Entitlement.code)
    )
    found: dict[UUID, tuple[tuple[str, datetime | None], ...]] = {}
    for license_id, code, until in db.session.execute(statement):
        found[license_id] = (*found.get(license_id, ()), (code, until))
    return found
