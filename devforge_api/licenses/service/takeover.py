"""A machine takes the seat of another one: the new laptop in place of the old."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from devforge_api.core.clock import rfc3339
from devforge_api.licenses.errors import MachineNotFound, TakeoverCooldown, TakeoverNotAllowed
from devforge_api.licenses.models import Machine
from devforge_api.licenses.queries import Facts, get_machine
from devforge_api.licenses.service import seats
from devforge_api.licenses.service.activation import (
    ACTIVATION,
    BY_A_SEAT,
    admit,
    return_seat,
    without_lost_seat,
)
from devforge_api.licenses.service.limits import limit_of
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.seats import Applicant
from devforge_api.licenses.service.validation import Scope, known_facts


def take_over(
    key: str, applicant: Applicant, scope: Scope, *, machine_id: UUID, now: datetime
) -> tuple[Machine, bool]:
    """Give a machine the seat of another one, or return the one that it holds.

    One transaction: nobody else can take the seat in between, and the count never moves. Afterwards
    the licence's seats stay for the policy's cooldown.

    :param machine_id: which machine of the licence goes.
    :returns: the machine, and whether it has taken a seat over.
    :raises LicenseNotFound: unknown key. :raises VerdictRefused: as for an activation.
    :raises TakeoverNotAllowed: the policy lets no machine do so. :raises TakeoverCooldown: too soon.
    :raises MachineNotFound: the other machine holds no seat. :raises CoreLimitExceeded: too many cores.
    :raises FingerprintTaken: the fingerprint holds a seat where the policy admits one only.
    """
    facts = known_facts(key, scope, now=now)
    if settled := return_seat(facts, applicant, scope, ACTIVATION):
        return settled.machine, False
    allowed_at = seats.lock(facts.license_id)
    facts = known_facts(key, scope, now=now)
    if settled := return_seat(facts, applicant, scope, ACTIVATION):  # it was faster elsewhere
        return settled.machine, False
    facts = without_lost_seat(facts, key, scope)
    admit(facts, applicant, scope, BY_A_SEAT)
    cooldown = facts.terms.takeover_cooldown_seconds
    if cooldown is None:
        raise TakeoverNotAllowed
    if allowed_at is not None and allowed_at > now:
        raise TakeoverCooldown(None, allowed_at=rfc3339(allowed_at))
    # Without a rest none is noted: whoever asked before this, and waits, would fall into it.
    again_at = now + timedelta(seconds=cooldown) if cooldown else None
    return _replace(facts, applicant, machine_id, again_at), True


def _replace(facts: Facts, applicant: Applicant, former_id: UUID, again_at: datetime | None) -> Machine:
    former = get_machine(facts.license_id, former_id)
    freed = seats.unseat(former.id)
    if freed is None:
        raise MachineNotFound
    cores, limit = seats.counted_cores(facts, applicant), limit_of(facts, "cores")
    seats.admit_cores(replace(limit, taken=limit.taken - freed), cores)
    machine = seats.seat_new(facts, applicant, cores=cores)
    seats.count(facts.license_id, cores=(cores or 0) - freed, takeover_allowed_at=again_at)
    tell(
        "taken_over",
        facts.license_id,
        {"machine_id": (former.id, machine.id)},
        machine_id=str(machine.id),
        former_machine_id=str(former.id),
    )
    return machine
