"""Whom an edit of a policy touches: no licence is revived or ended silently.

The licences of the policy are read page by page and judged under the terms of before and of after,
in the edit's own transaction. Most licences of a policy are alike in what matters, so that few
judgements are made. What an edit never does is to move a stored deadline or to lift a suspension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from devforge_api.core.db import db, uuid7
from devforge_api.licenses.models import CauseKind, LedgerEntry
from devforge_api.licenses.queries import Terms
from devforge_api.licenses.queries.standing import Subject, facts_about, subjects_of
from devforge_api.licenses.service.validation import Scope, decide

SHOWN = 100
EVENT = "policy_changed"
# What a verdict without scope depends on, and what it includes.
DECISIVE = (
    "floating", "strict", "limits", "overage", "expiry_strategy", "check_in_days", "required_scopes",
    "entitlements",
)  # fmt: skip
REMEMBERED = 10_000  # judgements


@dataclass(frozen=True, slots=True)
class Standing:
    """What a licence answers without any scope, and what it includes."""

    valid: bool
    code: str
    entitlements: tuple[str, ...]


@dataclass(slots=True)
class Touched:
    """How many licences answer otherwise, and the first of them."""

    total: int = 0
    licenses: list[dict[str, Any]] = field(default_factory=list)


def tell_touched(before: Terms, after: Terms, *, now: datetime) -> Touched:
    """Find the licences that an edit touches, and write it into the ledger of each.

    :param before: the terms of a policy that this transaction has locked; ``after`` likewise.
    """
    touched = Touched()
    if not _decides(before, after):
        return touched
    for changes in _changes(before, after, now):
        touched.total += len(changes)
        touched.licenses += [
            {"id": license_id, "before": old, "after": new}
            for license_id, old, new in changes[: SHOWN - len(touched.licenses)]
        ]
        db.session.execute(
            insert(LedgerEntry.__table__),  # type: ignore[arg-type]
            [_entry(license_id, after.policy_id, old, new, now) for license_id, old, new in changes],
        )
    return touched


def _decides(before: Terms, after: Terms) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in DECISIVE)


def _changes(before: Terms, after: Terms, now: datetime) -> Iterator[list[tuple[UUID, Standing, Standing]]]:
    """Who answers otherwise, in pages, none of them empty."""
    judged: dict[Subject, tuple[Standing, Standing]] = {}
    for page in subjects_of(before.policy_id, now=now):
        if len(judged) > REMEMBERED:
            judged.clear()
        found = []
        for license_id, subject in page:
            both = judged.get(subject)
            if both is None:
                both = judged[subject] = _judge(subject, before, now), _judge(subject, after, now)
            if both[0] != both[1]:
                found.append((license_id, *both))
        if found:
            yield found


def _judge(subject: Subject, terms: Terms, now: datetime) -> Standing:
    facts = facts_about(subject, terms, now=now)
    verdict = decide(facts, Scope())
    return Standing(verdict.valid, verdict.code, tuple(facts.entitlements))


def _entry(
    license_id: UUID, policy_id: UUID, before: Standing, after: Standing, now: datetime
) -> dict[str, Any]:
    changes: dict[str, list[Any]] = {}
    if (before.valid, before.code) != (after.valid, after.code):
        changes = {"valid": [before.valid, after.valid], "code": [before.code, after.code]}
    if before.entitlements != after.entitlements:
        changes["entitlements"] = [list(before.entitlements), list(after.entitlements)]
    return {
        "id": uuid7(),
        "license_id": license_id,
        "event": EVENT,
        "cause": CauseKind.POLICY,
        "cause_id": str(policy_id),
        "reason": None,
        "changes": changes,
        "created_at": now,
    }
