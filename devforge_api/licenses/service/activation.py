"""A machine asks for its seat: it holds one, takes one, or is told why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from devforge_api.licenses.errors import MachineNotFound, VerdictRefused
from devforge_api.licenses.models import CullStrategy, ExpiryBasis, Machine
from devforge_api.licenses.queries import Facts, Seat, find_machine, has_components, is_seated
from devforge_api.licenses.service import check_in, durations, heartbeats, seats
from devforge_api.licenses.service.seats import Applicant
from devforge_api.licenses.service.validation import Scope, Verdict, decide, is_lost, known_facts

# What a new seat remedies; limits are asked again for what the machine adds to them.
BY_A_SEAT = frozenset({
    "NO_MACHINE", "NO_MACHINES", "FINGERPRINT_SCOPE_MISMATCH", "COMPONENTS_SCOPE_MISMATCH",
    "TOO_MANY_MACHINES", "TOO_MANY_CORES",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visit:
    """What a call does for a machine, beside giving it a seat.

    :param beats: it is a heartbeat. :param validates: it is a validation, and a check-in.
    :param leases: it gets a lease.
    :param passes: failing checks that the visit remedies.
    :param keeps: failing checks in spite of which a machine keeps the seat that it holds.
    """

    beats: bool = False
    validates: bool = False
    leases: bool = False
    passes: frozenset[str] = frozenset()
    keeps: frozenset[str] = frozenset()


# A limit that was lowered below what is taken gives no seat, and takes none away.
ACTIVATION = Visit(
    keeps=frozenset({"HEARTBEAT_NOT_STARTED", "TOO_MANY_MACHINES", "TOO_MANY_CORES", "TOO_MANY_USERS"})
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A machine on its seat. ``moved``: the licence is not any more what the verdict was about."""

    verdict: Verdict
    machine: Machine
    created: bool = False
    moved: bool = False


def activate(key: str, applicant: Applicant, scope: Scope, *, now: datetime) -> tuple[Machine, bool]:
    """Give a machine a seat, or return the one that it holds: that stays as it is.

    A new seat is decided upon while the licence's row is locked until commit, so two machines
    cannot both take the last one.

    :param scope: its fingerprint and components, and what the licence has to be for.
    :returns: the machine, and whether the seat is new.
    :raises LicenseNotFound: unknown key.
    :raises VerdictRefused: validation fails for another reason than the missing machine.
    :raises MachineLimitExceeded: every seat is taken. :raises CoreLimitExceeded: it has too many cores.
    :raises FingerprintTaken: the fingerprint holds a seat where the policy admits one only.
    """
    settled = settle(known_facts(key, scope, now=now), key, applicant, scope, ACTIVATION)
    return settled.machine, settled.created


def deactivate(key: str, fingerprint: str, *, now: datetime) -> None:
    """Give a machine's seat back; possible in every state of the licence.

    :raises LicenseNotFound: unknown key. :raises MachineNotFound: it holds no seat.
    """
    facts = known_facts(key, Scope(), now=now)
    seats.lock(facts.license_id)
    machine = find_machine(facts.license_id, fingerprint)
    if machine is None:
        raise MachineNotFound
    seats.remove_machine(machine)


def settle(facts: Facts, key: str, applicant: Applicant, scope: Scope, visit: Visit) -> Settled:
    """The machine on the seat that it holds, or on a new one.

    :param facts: of the key, for this scope, read just now.
    :raises VerdictRefused: and what else `activate` raises.
    """
    settled = return_seat(facts, applicant, scope, visit)
    if settled is None:  # only who needs a seat waits for the others who want one
        admit(_without_seats(facts), applicant, scope, BY_A_SEAT | _passes(facts, visit))
        seats.lock(facts.license_id)
        facts = known_facts(key, scope, now=facts.at)
        settled = return_seat(facts, applicant, scope, visit)
    if settled is None:
        facts = without_lost_seat(facts, key, scope)
        verdict = admit(facts, applicant, scope, BY_A_SEAT | _passes(facts, visit))
        _heard_of(facts, visit)
        machine = seats.take(facts, applicant, beats=visit.beats, leases=visit.leases)
        settled = Settled(verdict, machine, created=True, moved=True)
    return settled


def return_seat(facts: Facts, applicant: Applicant, scope: Scope, visit: Visit) -> Settled | None:
    """The machine on the seat that it holds; None: it holds none, or not any more.

    :raises VerdictRefused: a check fails that the visit neither passes nor remedies.
    """
    if not facts.seats or _is_gone(facts, facts.seats[0]):
        return None
    verdict = admit(facts, applicant, scope, visit.keeps | _passes(facts, visit))
    moved = _heard_of(facts, visit)  # before the machine: the licence's row is locked first
    machine = seats.touch(facts, facts.seats[0], beats=visit.beats, leases=visit.leases)
    if machine is None:
        return None
    return Settled(verdict, machine, moved=moved)


def _heard_of(facts: Facts, visit: Visit) -> bool:
    """What a validation begins, and a check-in moves. Returns whether the licence may be another now."""
    if not visit.validates:
        return False
    due = check_in.renew_due(facts)
    first = facts.first_validated_at is None and facts.expires_at is None
    if first:  # not some seconds later, as for others: a lease must not outlive the licence
        durations.begin(facts.license_id, ExpiryBasis.FIRST_VALIDATION, facts.at)
    return first or due != facts.check_in_due_at


def without_lost_seat(facts: Facts, key: str, scope: Scope) -> Facts:
    """The facts of a locked licence, whose culling did not wait for the schedule: this machine's."""
    if not facts.seats:
        return facts
    heartbeats.bury(facts, facts.seats[0])
    return known_facts(key, scope, now=facts.at)


def admit(facts: Facts, applicant: Applicant, scope: Scope, passes: frozenset[str]) -> Verdict:
    """The verdict, apart from some checks. :raises VerdictRefused: it is not valid."""
    verdict = decide(facts, scope, passes=passes)
    if verdict.code == "COMPONENTS_SCOPE_MISMATCH":
        learned = _learn_components(facts, applicant)
        if learned is not None:
            verdict = decide(facts, scope, passes=passes | learned)
    if not verdict.valid:
        raise VerdictRefused(verdict.code, verdict.detail)
    return verdict


def _learn_components(facts: Facts, applicant: Applicant) -> frozenset[str] | None:
    """Let a seat that was taken without components have those which the machine names first.

    :returns: checks that are settled thereby; None: nothing has been learned, nor could be.
    """
    if not facts.seats:
        return None
    machine_id = facts.seats[0].machine_id
    if not has_components(machine_id):
        seats.lock(facts.license_id)
    if has_components(machine_id):  # others, or the same ones, named since they were looked at
        return frozenset()
    if is_seated(machine_id):  # else it has lost its seat just now: `touch` will find out
        seats.add_components(machine_id, applicant)
    return frozenset({"COMPONENTS_SCOPE_MISMATCH"})


def _passes(facts: Facts, visit: Visit) -> frozenset[str]:
    """What does not stand against this visit: a heartbeat revives, unless it is too late."""
    if not visit.beats:
        return visit.passes
    too_late = any(is_lost(facts, seat) for seat in facts.seats)
    return visit.passes if too_late else visit.passes | {"HEARTBEAT_NOT_STARTED", "HEARTBEAT_DEAD"}


def _is_gone(facts: Facts, seat: Seat) -> bool:
    """Whether a machine's seat is free, but for the culling that comes on the schedule."""
    return is_lost(facts, seat) and facts.terms.cull_strategy is CullStrategy.DEACTIVATE


def _without_seats(facts: Facts) -> Facts:
    return replace(facts, seats=()) if facts.seats else facts
