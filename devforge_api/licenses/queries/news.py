"""What is said of a licence when something has happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, select

from devforge_api.core.db import db
from devforge_api.licenses.models import License, LicenseStatus, Policy, Product
from devforge_api.releases.models import Release, ReleaseStatus


def story(
    license_id: UUID,
) -> Row[UUID | None, LicenseStatus, datetime | None, str, str, str] | None:
    """A licence as people know it; without its key."""
    statement = (
        select(
            License.user_id,
            License.status,
            License.expires_at,
            Product.code.label("product"),
            Product.name.label("product_name"),
            Policy.name.label("policy"),
        )
        .join(Policy, Policy.id == License.policy_id)
        .join(Product, Product.id == License.product_id)
        .where(License.id == license_id)
    )
    return db.session.execute(statement).first()


def release_story(release_id: UUID) -> Row[UUID, str, datetime | None, str, str] | None:
    """A release that is out, and its product."""
    statement = (
        select(
            Release.product_id,
            Release.version,
            Release.published_at,
            Product.code.label("product"),
            Product.name.label("product_name"),
        )
        .join(Product, Product.id == Release.product_id)
        .where(Release.id == release_id, Release.status == ReleaseStatus.PUBLISHED)
    )
    return db.session.execute(statement).first()


def owners_after(product_id: UUID, user_id: UUID | None, *, limit: int) -> Sequence[UUID]:
    """A page of the users who own a licence of a product that is not revoked, by id."""
    statement = select(License.user_id).where(
        License.product_id == product_id,
        License.user_id.is_not(None),
        License.status.in_([LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED]),
    )
    if user_id is not None:
        statement = statement.where(License.user_id > user_id)
    found = db.session.scalars(statement.distinct().order_by(License.user_id).limit(limit)).all()
    return [owner for owner in found if owner is not None]
