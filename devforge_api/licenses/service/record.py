"""What happened to a licence, told at one place: audit trail, ledger, revocation list, outbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.core.context import occasion
from devforge_api.core.db import db
from devforge_api.core.outbox import emit
from devforge_api.licenses.models import CauseKind, LedgerEntry
from devforge_api.licenses.service import revocations

# Seats and uses come and go without changing what a licence is worth: they are in the audit trail alone.
OF_SEATS = frozenset({"activated", "deactivated", "taken_over", "machine_died", "machine_revived", "used"})
# Whether a licence holds may have changed, for those who cannot ask.
OF_STANDING = frozenset({"revoked", "suspended", "reinstated", "deleted", "transferred"})


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a licence's state changed.

    :param id: of the user, policy or payment event.
    :param reason: in the words of whoever did it.
    """

    kind: CauseKind
    id: str | None = None
    reason: str | None = None


def present_cause(reason: str | None = None) -> Cause:
    """Whoever acts now: the caller, an app with a key, the operator, or nobody but the clock."""
    now = occasion()
    if now.principal is not None:
        return Cause(CauseKind.USER, str(now.principal.user_id), reason)
    kind = {"request": CauseKind.KEY, "cli": CauseKind.OPERATOR}.get(now.kind, CauseKind.TIME)
    return Cause(kind, None, reason)


def tell(
    verb: str,
    license_id: UUID,
    changes: Mapping[str, tuple[Any, Any]],
    *,
    cause: Cause | None = None,
    **payload: str,
) -> None:
    """Append what has been done, in its own transaction.

    :param verb: the event's name without ``license.``.
    :param changes: field → (before, after).
    :param payload: more for the event's subscribers.
    """
    audit.record(f"license.{verb}", target_type="license", target_id=license_id, changes=changes)
    if verb not in OF_SEATS and verb != "deleted":  # the ledger goes with its licence
        cause = cause or present_cause()
        entry = LedgerEntry(
            license_id=license_id,
            event=verb,
            cause=cause.kind,
            cause_id=cause.id,
            reason=cause.reason,
            changes=audit.shown(changes),
        )
        db.session.add(entry)
    if verb in OF_STANDING or (verb == "updated" and "user_id" in changes):  # a new owner may be banned
        revocations.note(license_id)
    emit(f"license.{verb}", license_id=str(license_id), **payload)
