"""More time for a licence, counted from where its policy says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from devforge_api.core.db import db
from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses.errors import LicenseNotBegun, LicensePerpetual
from devforge_api.licenses.models import ExpiryBasis, License, Policy, RenewalBasis
from devforge_api.licenses.service.durations import has_duration, later
from devforge_api.licenses.service.record import Cause, tell
from devforge_api.licenses.service.transitions import insist_on_life


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewed licence, and the moment that the time was added to."""

    license: License
    counted_from: datetime


def renew(
    license_: License,
    *,
    now: datetime,
    duration_days: int | None = None,
    duration_months: int | None = None,
    cause: Cause | None = None,
) -> Renewal:
    """Move a locked licence's expiry on, by the given or else the policy's days or months.

    :raises LicensePerpetual: it never expires. :raises LicenseNotBegun: its time has not begun.
    :raises LicensePending: its order waits. :raises LicenseAlreadyRevoked: it has ended.
    :raises ValidationFailed: neither the call nor the policy has a duration, or the call has two.
    """
    insist_on_life(license_)
    if duration_days is not None and duration_months is not None:
        raise ValidationFailed.of("duration_months", "Give either days or months.", "AMBIGUOUS")
    policy = license_.policy
    before = license_.expires_at
    if before is None:
        raise LicenseNotBegun if waits_to_begin(policy) else LicensePerpetual
    if duration_days is None and duration_months is None:
        if not has_duration(policy):
            raise ValidationFailed.of(
                "duration_days", "This licence's policy has no duration; give one.", "REQUIRED"
            )
        duration_days, duration_months = policy.duration_days, policy.duration_months
    counted_from = {
        RenewalBasis.EXPIRY: before,
        RenewalBasis.NOW: now,
        RenewalBasis.NOW_IF_EXPIRED: max(before, now),
    }[policy.renewal_basis]
    license_.expires_at = later(counted_from, days=duration_days, months=duration_months)
    db.session.flush()
    tell("renewed", license_.id, {"expires_at": (before, license_.expires_at)}, cause=cause)
    return Renewal(license_, counted_from)


def extend(license_: License, *, until: datetime, cause: Cause | None = None) -> None:
    """Set a locked licence's expiry to what is paid for: later, or, for what was canceled, earlier.

    :raises LicenseAlreadyRevoked: it has ended.
    """
    insist_on_life(license_, or_pending=True)
    before = license_.expires_at
    if before != until:
        license_.expires_at = until
        db.session.flush()
        tell("renewed", license_.id, {"expires_at": (before, until)}, cause=cause)


def waits_to_begin(policy: Policy) -> bool:
    """Whether a licence of this policy that has no expiry gets one when it is first used."""
    return has_duration(policy) and policy.expiry_basis is not ExpiryBasis.CREATION
