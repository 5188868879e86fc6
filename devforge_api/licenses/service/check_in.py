"""Check-ins: a policy may ask that a licence is heard of every so many days."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.orm.attributes import set_committed_value

from devforge_api.core.db import affected, unedited
from devforge_api.licenses.errors import CheckInNotRequired
from devforge_api.licenses.models import License, Policy
from devforge_api.licenses.queries import Facts
from devforge_api.licenses.service.durations import later
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.transitions import insist_on_life

# A deadline that would move by less is left: who asks all the time writes once an hour.
LEAST_STEP = timedelta(hours=1)


def first_due(policy: Policy, now: datetime) -> datetime | None:
    """When a licence whose time begins now must be heard of; None: its policy asks for no check-in."""
    return None if policy.check_in_days is None else later(now, days=policy.check_in_days)


def check_in(license_: License, *, now: datetime) -> License:
    """A locked licence is heard of: the next check-in is counted from now.

    :raises CheckInNotRequired: its policy asks for none.
    :raises LicensePending: its time has not begun. :raises LicenseAlreadyRevoked: it has ended.
    """
    insist_on_life(license_)
    days = license_.policy.check_in_days
    if days is None:
        raise CheckInNotRequired
    due, was_due = later(now, days=days), license_.check_in_due_at
    _move(license_.id, due)
    set_committed_value(license_, "check_in_due_at", due if was_due is None else max(due, was_due))
    _tell_if_overdue(license_.id, was_due, due, now)
    return license_


def renew_due(facts: Facts) -> datetime | None:
    """The same for a licence that an app has asked about, in the unit of work of its answer.

    An overdue licence is thereby checked in. Writes only where the deadline moves by an hour or
    more, and by one conditional update: of two callers none moves it back.

    :returns: the deadline that holds from now on; None: its policy asks for no check-in.
    """
    due, days = facts.check_in_due_at, facts.terms.check_in_days
    if due is None or days is None:
        return due
    new = later(facts.at, days=days)
    if new - due < LEAST_STEP:
        return due
    if _move(facts.license_id, new):
        _tell_if_overdue(facts.license_id, due, new, facts.at)
    return new


def _move(license_id: UUID, due: datetime) -> bool:
    """Move the deadline on, never back."""
    earlier = or_(License.check_in_due_at.is_(None), License.check_in_due_at < due)
    return affected(unedited(License, License.id == license_id, earlier, check_in_due_at=due)) == 1


def _tell_if_overdue(license_id: UUID, was_due: datetime | None, due: datetime, now: datetime) -> None:
    if was_due is not None and was_due <= now:
        tell("checked_in", license_id, {"check_in_due_at": (was_due, due)})
