"""Verdicts: what a licence answers, by the first failing check (docs/licensing.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from devforge_api.licenses.errors import LicenseNotFound, VerdictRefused
from devforge_api.licenses.models import ExpiryStrategy, HeartbeatBasis, LicenseStatus, Matching, ScopeName
from devforge_api.licenses.queries import (
    Facts,
    Seat,
    find_facts,
    find_seats,
    may_use,
    most_matching_components,
    published_at,
)
from devforge_api.licenses.service.keys import hash_key
from devforge_api.licenses.service.limits import limit_of
from devforge_api.users.service import UserStatus

DETAILS = {
    "VALID": "is valid",
    "NOT_FOUND": "does not exist",
    "PENDING": "is being prepared: its order is not fulfilled yet",
    "BANNED": "belongs to a disabled account",
    "REVOKED": "is revoked",
    "SUSPENDED": "is suspended",
    "EXPIRED": "is expired",
    "OVERDUE": "is overdue for its check-in",
    "PRODUCT_SCOPE_MISMATCH": "is for another product",
    "PRODUCT_SCOPE_REQUIRED": "must be checked for a product",
    "POLICY_SCOPE_MISMATCH": "is of another policy",
    "POLICY_SCOPE_REQUIRED": "must be checked for a policy",
    "USER_SCOPE_MISMATCH": "belongs to another user",
    "USER_SCOPE_REQUIRED": "must be checked for a user",
    "ENTITLEMENTS_SCOPE_EMPTY": "was checked against an empty list of entitlements",
    "ENTITLEMENTS_MISSING": "lacks an entitlement that was asked for",
    "NO_MACHINE": "is not activated on its machine",
    "NO_MACHINES": "is not activated on any machine",
    "HEARTBEAT_NOT_STARTED": "waits for the first heartbeat of its machine",
    "HEARTBEAT_DEAD": "has not heard of its machine for too long",
    "FINGERPRINT_SCOPE_EMPTY": "was checked against an empty list of fingerprints",
    "FINGERPRINT_SCOPE_MISMATCH": "is not activated on this machine",
    "FINGERPRINT_SCOPE_REQUIRED": "must be checked for a machine",
    "COMPONENTS_SCOPE_EMPTY": "was checked against an empty list of components",
    "COMPONENTS_SCOPE_MISMATCH": "is activated on a machine with other components",
    "COMPONENTS_SCOPE_REQUIRED": "must be checked for a machine's components",
    "VERSION_SCOPE_MISMATCH": "does not cover this version",
    "VERSION_SCOPE_REQUIRED": "must be checked for a version",
    "TOO_MANY_MACHINES": "has more machines than it allows",
    "TOO_MANY_CORES": "has machines with more cores than it allows",
    "TOO_MANY_USERS": "has more users than it allows",
}
# What a licence is by itself, whichever machine it is used on and for what.
STANDING = frozenset({"PENDING", "BANNED", "REVOKED", "SUSPENDED", "EXPIRED", "OVERDUE"})
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the caller wants the licence to be for. None: not asked."""

    fingerprints: tuple[str, ...] | None = None
    components: tuple[str, ...] | None = None
    product: str | None = None  # code or id
    policy_id: UUID | None = None
    user_id: UUID | None = None
    entitlements: tuple[str, ...] | None = None
    version: str | None = None


NO_SCOPE = Scope()


@dataclass(frozen=True, slots=True)
class Check:
    """A check that is not passed. ``valid``: the licence may say so and still be used."""

    code: str
    valid: bool = False

    @property
    def detail(self) -> str:
        """A sentence for people."""
        return f"The licence {DETAILS[self.code]}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """``valid``, and the check that decides, or VALID. ``facts``: None for an unknown key."""

    valid: bool
    code: str
    facts: Facts | None = None

    @property
    def detail(self) -> str:
        """A sentence for people."""
        return Check(self.code).detail


def validate(key: str, scope: Scope, *, now: datetime) -> Verdict:
    """The verdict on a key: one statement, no lock, no write."""
    facts = find_known(key, scope, now=now)
    return Verdict(False, "NOT_FOUND") if facts is None else decide(facts, scope)


def find_known(key: str, scope: Scope, *, now: datetime) -> Facts | None:
    """`known_facts`, or None for an unknown key, in the same time."""
    try:
        return known_facts(key, scope, now=now)
    except LicenseNotFound:
        _look_up_in_vain(scope)
        return None


def _look_up_in_vain(scope: Scope) -> None:
    """What a known and valid key costs: the time of an answer does not tell which keys there are."""
    if len(scope.fingerprints or ()) > 1:
        find_seats(NOBODY, scope.fingerprints or ())
    if scope.user_id is not None:
        may_use(NOBODY, scope.user_id)
    if scope.components:
        most_matching_components(NOBODY, scope.components, None if scope.fingerprints is None else ())
    if scope.version is not None:
        published_at(NOBODY, scope.version)


def known_facts(key: str, scope: Scope, *, now: datetime) -> Facts:
    """The facts of the licence with this key, also a replaced one for as long as it may be used.

    :raises LicenseNotFound: unknown key.
    """
    facts = find_facts(hash_key(key), scope.fingerprints or (), now=now)
    if facts is None or (facts.key_valid_until is not None and facts.key_valid_until <= now):
        raise LicenseNotFound
    return facts


def decide(facts: Facts, scope: Scope, *, passes: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on what is known; asks for no more than the first failing check needs.

    :param passes: codes of checks that do not count, as the caller remedies them.
    """
    return judge(facts, (check for check in failing_checks(facts, scope) if check.code not in passes))


def judge(facts: Facts, checks: Iterable[Check]) -> Verdict:
    """The first check that fails decides; if none does, the first that has something to say."""
    said = None
    for check in checks:
        if not check.valid:
            return Verdict(False, check.code, facts)
        said = said or check
    return Verdict(True, said.code if said else "VALID", facts)


def failing_checks(facts: Facts, scope: Scope) -> Iterator[Check]:
    """Every check that is not passed, in the order that decides the verdict."""
    yield from _standing(facts)
    yield from _audience(facts, scope)
    yield from _machines(facts, scope)
    yield from _components(facts, scope)
    yield from _version(facts, scope)
    for name in ("machines", "cores", "users"):
        limit = limit_of(facts, name)
        if limit.exceeded:
            yield Check(f"TOO_MANY_{name.upper()}", valid=limit.tolerated)
    if is_expired(facts) and facts.terms.expiry_strategy is not ExpiryStrategy.REVOKE:
        yield Check("EXPIRED", valid=facts.terms.expiry_strategy is not ExpiryStrategy.RESTRICT)


def insist_on(facts: Facts, codes: frozenset[str], scope: Scope = NO_SCOPE) -> None:
    """For what asks for some of the checks alone. :raises VerdictRefused: one of these fails."""
    for check in failing_checks(facts, scope):
        if check.code in codes and not check.valid:
            raise VerdictRefused(check.code, check.detail)


def is_expired(facts: Facts) -> bool:
    """Whether its expiry has passed, whatever the policy makes of that."""
    return facts.expires_at is not None and facts.expires_at <= facts.at


def _standing(facts: Facts) -> Iterator[Check]:
    """The licence by itself."""
    if facts.status is LicenseStatus.PENDING:
        yield Check("PENDING")
    if facts.owner_status is UserStatus.DISABLED:
        yield Check("BANNED")
    if facts.status is LicenseStatus.REVOKED:
        yield Check("REVOKED")
    if facts.status is LicenseStatus.SUSPENDED:
        yield Check("SUSPENDED")
    if is_expired(facts) and facts.terms.expiry_strategy is ExpiryStrategy.REVOKE:
        yield Check("EXPIRED")
    if facts.check_in_due_at is not None and facts.check_in_due_at <= facts.at:
        yield Check("OVERDUE")


def _audience(facts: Facts, scope: Scope) -> Iterator[Check]:
    """For what product, policy and user, and with which features."""
    terms = facts.terms
    if scope.product is None:
        yield from _required(facts, ScopeName.PRODUCT)
    elif scope.product not in (terms.product_code, str(terms.product_id)):
        yield Check("PRODUCT_SCOPE_MISMATCH")
    if scope.policy_id is None:
        yield from _required(facts, ScopeName.POLICY)
    elif scope.policy_id != terms.policy_id:
        yield Check("POLICY_SCOPE_MISMATCH")
    if scope.user_id is None:
        yield from _required(facts, ScopeName.USER)
    elif scope.user_id != facts.user_id and not may_use(facts.license_id, scope.user_id):
        yield Check("USER_SCOPE_MISMATCH")
    if scope.entitlements is not None:
        if not scope.entitlements:
            yield Check("ENTITLEMENTS_SCOPE_EMPTY")
        elif not set(scope.entitlements) <= set(facts.entitlements):
            yield Check("ENTITLEMENTS_MISSING")


def _required(facts: Facts, name: ScopeName) -> Iterator[Check]:
    if name in facts.terms.required_scopes:
        yield Check(f"{name.upper()}_SCOPE_REQUIRED")


def _machines(facts: Facts, scope: Scope) -> Iterator[Check]:
    unused = facts.taken["machines"] == 0
    if unused and (facts.terms.strict or scope.fingerprints):
        yield Check("NO_MACHINES" if facts.terms.floating else "NO_MACHINE")
    if scope.fingerprints is None:
        yield from _required(facts, ScopeName.FINGERPRINT)
    elif not scope.fingerprints:
        yield Check("FINGERPRINT_SCOPE_EMPTY")
    elif not unused:
        needed = how_many(facts.terms.fingerprint_matching, scope.fingerprints)
        if facts.terms.require_heartbeat:
            yield from _heartbeats(facts, needed)
        if len(facts.seats) < needed:
            yield Check("FINGERPRINT_SCOPE_MISMATCH")


def _heartbeats(facts: Facts, needed: int) -> Iterator[Check]:
    """Silent machines, where those that are heard of do not suffice without them."""
    waiting = sum(waits_for_heartbeat(facts, seat) for seat in facts.seats)
    dead = sum(is_dead(facts, seat) for seat in facts.seats)
    if len(facts.seats) - waiting - dead < needed:
        if waiting:
            yield Check("HEARTBEAT_NOT_STARTED")
        if dead:
            yield Check("HEARTBEAT_DEAD")


def is_dead(facts: Facts, seat: Seat) -> bool:
    """Whether a machine's heartbeat has stopped."""
    due = seat.heartbeat_due_at
    return facts.terms.require_heartbeat and due is not None and due <= facts.at


def is_lost(facts: Facts, seat: Seat) -> bool:
    """Whether a dead machine's time to come back is over, too."""
    due, revival = seat.heartbeat_due_at, facts.terms.revival_seconds
    if not is_dead(facts, seat) or due is None or revival is None:
        return False
    return due <= facts.at - timedelta(seconds=revival)


def waits_for_heartbeat(facts: Facts, seat: Seat) -> bool:
    """Whether a machine's first window begins with a ping that has not come yet.

    A seat of before the policy asked for heartbeats, which then counted from creation, has no window.
    """
    has_begun = seat.last_heartbeat_at is not None or seat.heartbeat_due_at is not None
    return not has_begun and facts.terms.heartbeat_basis is HeartbeatBasis.FIRST_PING


def _components(facts: Facts, scope: Scope) -> Iterator[Check]:
    if scope.components is None:
        yield from _required(facts, ScopeName.COMPONENTS)
    elif not scope.components:
        yield Check("COMPONENTS_SCOPE_EMPTY")
    else:
        asked = None if scope.fingerprints is None else [seat.machine_id for seat in facts.seats]
        found = most_matching_components(facts.license_id, scope.components, asked)
        if found < how_many(facts.terms.component_matching, scope.components):
            yield Check("COMPONENTS_SCOPE_MISMATCH")


def _version(facts: Facts, scope: Scope) -> Iterator[Check]:
    if scope.version is None:
        yield from _required(facts, ScopeName.VERSION)
        return
    published = published_at(facts.terms.product_id, scope.version)
    if published is None or published > covered_until(facts):
        yield Check("VERSION_SCOPE_MISMATCH")


def covered_until(facts: Facts) -> datetime:
    """Up to when a release was published if the licence covers it."""
    # What is announced for later than now is not there yet.
    if facts.expires_at is None or facts.terms.expiry_strategy is ExpiryStrategy.ALLOW:
        return facts.at
    return min(facts.at, facts.expires_at)


def how_many(matching: Matching, asked: Sequence[str]) -> int:
    """How many of the fingerprints that were asked about must match; each counts once."""
    count = len(set(asked))
    needed = {Matching.ANY: 1, Matching.TWO: 2, Matching.MOST: (count + 1) // 2, Matching.ALL: count}
    return min(needed[matching], count)
