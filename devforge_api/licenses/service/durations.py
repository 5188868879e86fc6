"""How long licences last: a policy's duration in days or calendar months."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from dateutil.relativedelta import relativedelta
from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.models import ExpiryBasis, License, LicenseStatus, Policy
from devforge_api.licenses.service.record import tell

LATEST_EXPIRY = datetime(9990, 12, 31, tzinfo=UTC)  # what a client may give, too: core/fields.py


def has_duration(policy: Policy) -> bool:
    """Whether its licences expire."""
    return policy.duration_days is not None or policy.duration_months is not None


def later(start: datetime, *, days: int | None = None, months: int | None = None) -> datetime:
    """A moment so many days or calendar months later; the last day of a month stays within it.

    :raises ValidationFailed: beyond the last moment that can be written.
    """
    try:
        end = start + relativedelta(days=days or 0, months=months or 0)
    except (OverflowError, ValueError):
        end = None
    if end is None or end > LATEST_EXPIRY:
        raise ValidationFailed.of("duration_days", "That is too far in the future.")
    return end


def end_of_duration(policy: Policy, start: datetime) -> datetime:
    """When a licence expires whose time begins then; the policy must have a duration."""
    return later(start, days=policy.duration_days, months=policy.duration_months)


def first_expiry(policy: Policy, now: datetime) -> datetime | None:
    """When a licence that is made now expires; None: never, or its time has not begun."""
    if not has_duration(policy) or policy.expiry_basis is not ExpiryBasis.CREATION:
        return None
    return end_of_duration(policy, now)


def begin(license_id: UUID, basis: ExpiryBasis, at: datetime) -> None:
    """Let a licence's time begin, where its policy lets it begin so and it has not begun.

    A pending licence's does not: nobody may use it yet.
    """
    not_begun = (
        License.id == license_id,
        License.expires_at.is_(None),
        License.status != LicenseStatus.PENDING,
    )
    policy = db.session.scalar(
        select(Policy)
        .join(License, License.policy_id == Policy.id)
        .where(*not_begun, Policy.expiry_basis == basis)
    )
    if policy is None or not has_duration(policy):
        return
    waiting = select(License).where(*not_begun)
    license_ = db.session.scalar(waiting.with_for_update().execution_options(populate_existing=True))
    if license_ is None:  # somebody was faster
        return
    license_.expires_at = end_of_duration(policy, at)
    db.session.flush()
    tell("updated", license_id, {"expires_at": (None, license_.expires_at)})
