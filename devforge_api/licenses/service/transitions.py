"""The states of a licence, and the only ways from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devforge_api.audit import service as audit
from devforge_api.core.db import db
from devforge_api.core.errors import Conflict
from devforge_api.licenses.errors import (
    LicenseAlreadyRevoked,
    LicenseNotActive,
    LicenseNotPending,
    LicenseNotSuspended,
    LicensePending,
)
from devforge_api.licenses.models import License, LicenseStatus
from devforge_api.licenses.service.record import Cause, tell

PENDING, ACTIVE = LicenseStatus.PENDING, LicenseStatus.ACTIVE
SUSPENDED, REVOKED = LicenseStatus.SUSPENDED, LicenseStatus.REVOKED


@dataclass(frozen=True, slots=True)
class Transition:
    """A way into a state. From any other state than its sources it is refused, and nothing happens."""

    event: str
    sources: frozenset[LicenseStatus]
    target: LicenseStatus
    refusal: type[Conflict]


FULFILL = Transition("fulfilled", frozenset({PENDING}), ACTIVE, LicenseNotPending)
SUSPEND = Transition("suspended", frozenset({ACTIVE}), SUSPENDED, LicenseNotActive)
REINSTATE = Transition("reinstated", frozenset({SUSPENDED}), ACTIVE, LicenseNotSuspended)
REVOKE = Transition("revoked", frozenset({PENDING, ACTIVE, SUSPENDED}), REVOKED, LicenseAlreadyRevoked)
TRANSITIONS = (FULFILL, SUSPEND, REINSTATE, REVOKE)


def move(license_: License, transition: Transition, *, cause: Cause | None, **values: Any) -> License:
    """Take a locked licence into another state.

    :param values: that change with it.
    :raises Conflict: the transition's own refusal, with the present status.
    """
    if license_.status not in transition.sources:
        raise transition.refusal(None, status=license_.status)
    changes = audit.apply(license_, {"status": transition.target, **values})
    db.session.flush()
    tell(transition.event, license_.id, changes, cause=cause)
    return license_


def insist_on_life(license_: License, *, or_pending: bool = False) -> None:
    """For what has no meaning before a licence's life or after it.

    :param or_pending: an order that waits is good enough.
    :raises LicensePending: its order waits. :raises LicenseAlreadyRevoked: it has ended.
    """
    if license_.status is REVOKED:
        raise LicenseAlreadyRevoked(None, status=license_.status)
    if license_.status is PENDING and not or_pending:
        raise LicensePending(None, status=license_.status)
