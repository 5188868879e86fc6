"""Uses: how often a licence was used for what its policy counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError

from devforge_api.core.db import affected, db, unedited
from devforge_api.core.errors import IdempotencyKeyReused
from devforge_api.licenses.errors import UsesInvalid, UsesLimitExceeded
from devforge_api.licenses.models import License, LicenseStatus, Policy, UsageRequest
from devforge_api.licenses.queries import Facts
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.validation import STANDING, Scope, insist_on, known_facts

MOST_USES = 2**31 - 1  # what the column holds
KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a licence was used, of how often it may be; None: as often as they like."""

    license_id: UUID
    uses: int
    max_uses: int | None
    replayed: bool = False


def count_by_key(key: str, *, more: int, request_key: str | None, now: datetime) -> Uses:
    """Count uses for an app that has nothing but the key.

    :param request_key: a repetition with the same one is answered again, not counted again.
    :raises LicenseNotFound: unknown key. :raises IdempotencyKeyReused: it was for another number.
    :raises VerdictRefused: the licence may not be used. :raises UsesLimitExceeded: too many.
    """
    facts = known_facts(key, Scope(), now=now)
    if request_key is None:
        return count(facts, more=more)
    request = UsageRequest(license_id=facts.license_id, key=request_key, increment=more, created_at=now)
    try:
        with db.session.begin_nested():
            db.session.add(request)
            db.session.flush()
    except IntegrityError:  # the first one is committed: until then the row made us wait
        return _repeated(facts, request_key, more)
    counted = count(facts, more=more)
    request.uses = counted.uses
    db.session.flush()
    return counted


def _repeated(facts: Facts, request_key: str, more: int) -> Uses:
    row = db.session.get(UsageRequest, (facts.license_id, request_key), populate_existing=True)
    if row is None or row.increment != more:
        raise IdempotencyKeyReused
    return Uses(facts.license_id, row.uses, facts.limit("uses"), replayed=True)


def count(facts: Facts, *, more: int) -> Uses:
    """Count uses of a licence, as long as it may be used.

    One conditional update decides: of callers at once none goes beyond the limit.

    :raises VerdictRefused: the licence may not be used. :raises UsesLimitExceeded: too many.
    """
    insist_on(facts, STANDING)  # which machine it is used on, nobody asks here
    own_policy = select(Policy.max_uses).where(Policy.id == License.policy_id).scalar_subquery()
    maximum = func.coalesce(License.max_uses, own_policy, MOST_USES)
    # Still active: a revocation that was committed meanwhile is a boundary.
    room = (License.uses <= maximum - more, License.status == LicenseStatus.ACTIVE)
    uses = _add(facts.license_id, more, *room)
    if uses is None:
        raise UsesLimitExceeded(None, uses=facts.taken["uses"], max_uses=facts.limit("uses"))
    return Uses(facts.license_id, uses, facts.limit("uses"))


def take_back(facts: Facts, *, less: int) -> Uses:
    """Count fewer uses, in whatever state the licence is. :raises UsesInvalid: below zero."""
    uses = _add(facts.license_id, -less, License.uses >= less)
    if uses is None:
        raise UsesInvalid(None, uses=facts.taken["uses"])
    return Uses(facts.license_id, uses, facts.limit("uses"))


def reset(facts: Facts) -> Uses:
    """Begin to count anew."""
    before = db.session.scalar(select(License.uses).where(License.id == facts.license_id).with_for_update())
    _add(facts.license_id, -(before or 0))
    return Uses(facts.license_id, 0, facts.limit("uses"))


def _add(license_id: UUID, more: int, *conditions: ColumnElement[bool]) -> int | None:
    """The new number; None: the conditions do not hold."""
    counted = unedited(License, License.id == license_id, *conditions, uses=License.uses + more)
    after = db.session.scalar(counted.returning(License.uses))
    if after is not None:
        tell("used", license_id, {"uses": (after - more, after)})
    return after


def purge_requests(now: datetime) -> int:
    """Forget after a day which requests were counted. Returns how many."""
    return affected(delete(UsageRequest).where(UsageRequest.created_at < now - KEPT))
