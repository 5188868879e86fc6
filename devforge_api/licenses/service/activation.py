"""Seats: a machine takes one, holds it, gives it back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update

from devforge_api.core.db import affected, db
from devforge_api.licenses.errors import MachineLimitExceeded, MachineNotFound, VerdictRefused
from devforge_api.licenses.models import License, Machine
from devforge_api.licenses.queries import Facts, find_machine, get_machine
from devforge_api.licenses.service.limits import limit_of
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.validation import (
    REMEDIED_BY_ACTIVATION,
    Scope,
    failing_checks,
    known_facts,
)


def activate(
    key: str,
    fingerprint: str,
    *,
    now: datetime,
    product: str | None = None,
    name: str | None = None,
    platform: str | None = None,
) -> tuple[Machine, bool]:
    """Give a machine a seat, or return the one that it holds.

    A new seat is decided upon while the licence's row is locked until commit, so two machines
    cannot both take the last one.

    :param product: code or id of the product that asks; another product's key takes no seat.
    :returns: the machine, and whether the seat is new.
    :raises LicenseNotFound: unknown key.
    :raises VerdictRefused: validation fails for another reason than the missing machine.
    :raises MachineLimitExceeded: every seat is taken.
    """
    scope = Scope(fingerprints=(fingerprint,), product=product)
    facts = _admitting_facts(key, scope, now)
    if not facts.seats:  # only who needs a seat waits for the others who want one
        db.session.execute(select(License.id).where(License.id == facts.license_id).with_for_update())
        facts = _admitting_facts(key, scope, now)
    if facts.seats:
        return get_machine(facts.license_id, facts.seats[0].machine_id), False
    return _take_seat(facts, fingerprint, name, platform), True


def deactivate(key: str, fingerprint: str, *, now: datetime) -> None:
    """Give a machine's seat back; possible in every state of the licence.

    :raises LicenseNotFound: unknown key. :raises MachineNotFound: it holds no seat.
    """
    facts = known_facts(key, Scope(), now=now)
    db.session.execute(select(License.id).where(License.id == facts.license_id).with_for_update())
    machine = find_machine(facts.license_id, fingerprint)
    if machine is None:
        raise MachineNotFound
    remove_machine(machine)


def remove_machine(machine: Machine) -> None:
    """Take a seat back from a machine of a locked licence.

    :raises MachineNotFound: it has given the seat back meanwhile.
    """
    if affected(delete(Machine).where(Machine.id == machine.id)) != 1:
        raise MachineNotFound
    _count_seats(machine.license_id, -1)
    changes = {"machine_id": (machine.id, None)}
    tell("deactivated", machine.license_id, changes, machine_id=str(machine.id))


def _admitting_facts(key: str, scope: Scope, now: datetime) -> Facts:
    """The facts of a licence that passes every check which an activation does not remedy.

    :raises LicenseNotFound: unknown key. :raises VerdictRefused: the first such check.
    """
    assert scope.fingerprints
    facts = known_facts(key, scope, now=now)
    for check in failing_checks(facts, scope):
        if check.valid or check.code in REMEDIED_BY_ACTIVATION:
            continue
        if check.code.startswith("TOO_MANY_"):  # a limit lowered below what is taken: no more, but no less
            if facts.seats:
                continue
            raise MachineLimitExceeded(None, max_machines=facts.limit("machines"))
        raise VerdictRefused(check.code, check.detail)
    return facts


def _take_seat(facts: Facts, fingerprint: str, name: str | None, platform: str | None) -> Machine:
    """A new machine on a locked licence. :raises MachineLimitExceeded: no seat is free."""
    limit = limit_of(facts, "machines")
    if not limit.admits(1):
        raise MachineLimitExceeded(None, max_machines=limit.maximum)
    machine = Machine(license_id=facts.license_id, fingerprint=fingerprint, name=name, platform=platform)
    db.session.add(machine)
    db.session.flush()
    _count_seats(facts.license_id, 1)
    tell("activated", facts.license_id, {"machine_id": (None, machine.id)}, machine_id=str(machine.id))
    return machine


def _count_seats(license_id: UUID, more: int) -> None:
    db.session.execute(
        update(License)
        .where(License.id == license_id)
        .values(machine_count=License.machine_count + more, updated_at=License.updated_at)
        .execution_options(synchronize_session=False)
    )
