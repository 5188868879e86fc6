"""What only some callers ask about: a version, another user, a machine's components, a way out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, literal_column, select

from devforge_api.core.db import db
from devforge_api.core.statements import Prepared
from devforge_api.licenses.models import LicenseUser, Machine, MachineComponent, Policy, Product
from devforge_api.releases.models import Release

# Written out: a prepared statement has no place for a value that never changes.
_IS_PUBLISHED = Release.status == literal_column("'published'")


def _value(value: datetime) -> datetime:
    return value


# Apps that name their version do so whenever they ask.
_PUBLISHED_AT: Prepared[datetime] = Prepared(
    select(Release.published_at).where(
        Release.product_id == bindparam("product_id"), Release.version == bindparam("version"), _IS_PUBLISHED
    ),
    _value,
)


def published_at(product_id: UUID, version: str) -> datetime | None:
    """Since when a version of a product is published; None: it is not, or there is no such version."""
    return _PUBLISHED_AT.first(product_id=product_id, version=version)


def newest_version(product_id: UUID, *, until: datetime) -> str | None:
    """The version of a product that was published last, up to and with this moment."""
    statement = (
        select(Release.version)
        .where(Release.product_id == product_id, _IS_PUBLISHED, Release.published_at <= until)
        .order_by(Release.published_at.desc(), Release.id.desc())
        .limit(1)
    )
    return db.session.scalar(statement)


def plan_metadata(policy_id: UUID) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the team keeps with a policy, and with its product."""
    statement = (
        select(Policy.metadata_, Product.metadata_)
        .join(Product, Product.id == Policy.product_id)
        .where(Policy.id == policy_id)
    )
    of_policy, of_product = db.session.execute(statement).one()
    return of_policy, of_product


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
