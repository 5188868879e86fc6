"""What only some callers ask about: a version, another user, a machine's components."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import LicenseUser, Machine, MachineComponent
from devforge_api.releases.models import Release, ReleaseStatus


def published_at(product_id: UUID, version: str) -> datetime | None:
    """Since when a version of a product is published; None: it is not, or there is no such version."""
    statement = select(Release.published_at).where(
        Release.product_id == product_id,
        Release.version == version,
        Release.status == ReleaseStatus.PUBLISHED,
    )
    return db.session.scalar(statement)


def may_use(license_id: UUID, user_id: UUID) -> bool:
    """Whether a user was added to a licence, beside its owner."""
    statement = select(LicenseUser.user_id).where(
        LicenseUser.license_id == license_id, LicenseUser.user_id == user_id
    )
    return db.session.scalar(statement) is not None


def most_matching_components(
    license_id: UUID, fingerprints: Sequence[str], machine_ids: Sequence[UUID] | None
) -> int:
    """How many of these components belong to the same machine, of the one that has most of them.

    :param machine_ids: only these machines; None: every machine of the licence.
    """
    count = func.count(MachineComponent.fingerprint)
    statement = (
        select(count)
        .join(Machine, Machine.id == MachineComponent.machine_id)
        .where(Machine.license_id == license_id, MachineComponent.fingerprint.in_(set(fingerprints)))
        .group_by(MachineComponent.machine_id)
        .order_by(count.desc())
        .limit(1)
    )
    if machine_ids is not None:
        statement = statement.where(Machine.id.in_(machine_ids))
    return db.session.scalar(statement) or 0
