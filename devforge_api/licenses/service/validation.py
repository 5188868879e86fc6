"""Verdicts: what a licence answers, by the first failing check (docs/licensing.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from devforge_api.licenses.models import LicenseStatus
from devforge_api.licenses.queries import Facts, find_facts
from devforge_api.licenses.service.keys import hash_key
from devforge_api.users.service import UserStatus

DETAILS = {
    "VALID": "is valid",
    "NOT_FOUND": "does not exist",
    "BANNED": "belongs to a disabled account",
    "REVOKED": "is revoked",
    "SUSPENDED": "is suspended",
    "EXPIRED": "is expired",
    "PRODUCT_SCOPE_MISMATCH": "is for another product",
    "POLICY_SCOPE_MISMATCH": "is of another policy",
    "USER_SCOPE_MISMATCH": "belongs to another user",
    "ENTITLEMENTS_SCOPE_EMPTY": "was checked against an empty list of entitlements",
    "ENTITLEMENTS_MISSING": "lacks an entitlement that was asked for",
    "NO_MACHINE": "is not activated on its machine",
    "NO_MACHINES": "is not activated on any machine",
    "FINGERPRINT_SCOPE_EMPTY": "was checked against an empty list of fingerprints",
    "FINGERPRINT_SCOPE_MISMATCH": "is not activated on this machine",
    "TOO_MANY_MACHINES": "has more machines than its policy allows",
}
# What an activation itself remedies.
REMEDIED_BY_ACTIVATION = frozenset({"NO_MACHINE", "NO_MACHINES", "FINGERPRINT_SCOPE_MISMATCH"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What the caller wants the licence to be for. None: not asked."""

    fingerprints: tuple[str, ...] | None = None
    product: str | None = None  # code or id
    policy_id: UUID | None = None
    user_id: UUID | None = None
    entitlements: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``valid``, and the first failing check, or VALID. ``facts``: None for an unknown key."""

    valid: bool
    code: str
    facts: Facts | None = field(default=None)

    @property
    def detail(self) -> str:
        """A sentence for people."""
        return f"The licence {DETAILS[self.code]}."


def validate(key: str, scope: Scope, *, now: datetime) -> Verdict:
    """The verdict on a key: one statement, no lock, no write."""
    facts = find_facts(hash_key(key), scope.fingerprints or ())
    if facts is None:
        return Verdict(False, "NOT_FOUND")
    code = next(failing_checks(facts, scope, now=now), "VALID")
    return Verdict(code == "VALID", code, facts)


def failing_checks(facts: Facts, scope: Scope, *, now: datetime) -> Iterator[str]:
    """Every check that fails, in the order that decides the verdict."""
    if facts.owner_status is UserStatus.DISABLED:
        yield "BANNED"
    if facts.status is LicenseStatus.REVOKED:
        yield "REVOKED"
    if facts.status is LicenseStatus.SUSPENDED:
        yield "SUSPENDED"
    if scope.product is not None and scope.product not in (facts.product_code, str(facts.product_id)):
        yield "PRODUCT_SCOPE_MISMATCH"
    if scope.policy_id is not None and scope.policy_id != facts.policy_id:
        yield "POLICY_SCOPE_MISMATCH"
    if scope.user_id is not None and scope.user_id != facts.user_id:
        yield "USER_SCOPE_MISMATCH"
    if scope.entitlements is not None:
        if not scope.entitlements:
            yield "ENTITLEMENTS_SCOPE_EMPTY"
        elif not set(scope.entitlements) <= set(facts.entitlements):
            yield "ENTITLEMENTS_MISSING"
    yield from _machine_checks(facts, scope)
    if facts.max_machines is not None and facts.machine_count > facts.max_machines:
        yield "TOO_MANY_MACHINES"
    if facts.expires_at is not None and facts.expires_at <= now:
        yield "EXPIRED"


def _machine_checks(facts: Facts, scope: Scope) -> Iterator[str]:
    unused = facts.machine_count == 0
    if unused and (facts.strict or scope.fingerprints):
        yield "NO_MACHINES" if facts.floating else "NO_MACHINE"
    if scope.fingerprints is not None and not scope.fingerprints:
        yield "FINGERPRINT_SCOPE_EMPTY"
    elif scope.fingerprints and not unused and facts.matching_machines == 0:
        yield "FINGERPRINT_SCOPE_MISMATCH"
