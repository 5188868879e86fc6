"""One call for an app: is this machine licensed, and for how long without asking again?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from devforge_api.core.errors import Conflict
from devforge_api.licenses.errors import VerdictRefused
from devforge_api.licenses.models import Machine
from devforge_api.licenses.queries import Facts, Seat
from devforge_api.licenses.service import leases, seats
from devforge_api.licenses.service.activation import Visit, settle
from devforge_api.licenses.service.leases import Lease
from devforge_api.licenses.service.seats import Applicant
from devforge_api.licenses.service.validation import Check, Scope, decide, known_facts

ENSURING = Visit(beats=True, validates=True, leases=True, passes=frozenset({"OVERDUE"}))


@dataclass(frozen=True, slots=True)
class Ensured:
    """The verdict; with a valid one the machine on its seat, and a lease.

    :param facts: None for an unknown key.
    :param params: the facts of a refusal, as an activation gives them.
    """

    valid: bool
    code: str
    detail: str
    facts: Facts | None
    machine: Machine | None = None
    lease: Lease | None = None
    params: dict[str, Any] | None = None


def ensure(facts: Facts, key: str, applicant: Applicant, scope: Scope) -> Ensured:
    """Validate, give the machine a seat if it has none and one is free, check in, beat.

    Any number of calls, also at once, leave one seat. Where the seat is held already it costs one
    update, and nothing is told. The lease is added after the commit, by `with_lease`.

    :param facts: of the key, for this scope, read just before the unit of work.
    :raises VerdictRefused: and what else an activation raises: see `refused`.
    """
    settled = settle(facts, key, applicant, scope, ENSURING)
    machine, verdict = settled.machine, settled.verdict
    if settled.moved:
        facts = known_facts(key, scope, now=facts.at)
        verdict = decide(facts, scope)
        if not verdict.valid:  # it has changed meanwhile: nothing was taken, and there is no lease
            raise VerdictRefused(verdict.code, verdict.detail)
    return Ensured(verdict.valid, verdict.code, verdict.detail, facts, machine)


def with_lease(ensured: Ensured, key: str) -> Ensured:
    """The same with the machine's lease; after the commit, as signing keeps nobody waiting then.

    Its counter was committed: whoever is killed in between has lost a number, and no seat.

    :raises Unavailable: there is no signing key yet.
    """
    facts, machine = ensured.facts, ensured.machine
    assert facts is not None
    assert machine is not None
    seat = Seat(machine.id, machine.fingerprint, machine.last_heartbeat_at, machine.heartbeat_due_at)
    lease = leases.lease(facts, seat, key=key, counter=machine.lease_counter)
    return replace(ensured, lease=lease)


def unknown() -> Ensured:
    """The answer for a key that opens nothing."""
    check = Check("NOT_FOUND")
    return Ensured(False, check.code, check.detail, None)


def refused(facts: Facts, refusal: Conflict) -> Ensured:
    """The answer where `ensure` has raised: the same code and facts as an activation's refusal."""
    params = dict(refusal.params) or None
    if refusal.code == "TOO_MANY_MACHINES":  # also here: which machine could go
        params = seats.offer(facts)
    return Ensured(False, refusal.code, refusal.message, facts, params=params)
