"""Machines that are heard of, and what becomes of those that are not."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update

from devforge_api.core import maintenance
from devforge_api.core.db import affected, db
from devforge_api.licenses.errors import MachineDead, MachineNotFound
from devforge_api.licenses.models import CullStrategy, License, Machine
from devforge_api.licenses.queries import Facts, Seat, machines_due, policies_with_heartbeat
from devforge_api.licenses.service import seats
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.validation import STANDING, insist_on, is_lost

BATCH = 100  # machines of a policy at a time: their licences are locked until commit


def heartbeat(facts: Facts) -> Machine:
    """A machine is alive: its window begins anew, and if it was dead, it is revived.

    :param facts: of the key, for the machine's fingerprint, read just now.
    :raises VerdictRefused: the licence does not stand. :raises MachineNotFound: it holds no seat.
    :raises MachineDead: its time to come back is over.
    """
    insist_on(facts, STANDING)  # it tells which machine is alive, and asks nothing else
    if not facts.seats:
        raise MachineNotFound
    machine = seats.touch(facts, facts.seats[0], beats=True)
    if machine is not None:
        return machine
    if is_lost(facts, facts.seats[0]):
        raise MachineDead
    raise MachineNotFound


def bury(facts: Facts, seat: Seat) -> None:
    """Free the seat of a machine of a locked licence whose time to come back is over."""
    _tell_death(facts.license_id, seat.machine_id, facts.at)
    seats.free(facts.license_id, seat.machine_id, Machine.heartbeat_due_at == seat.heartbeat_due_at)


def cull(now: datetime, *, at_most: int = BATCH) -> int:
    """Tell which machines' heartbeat stopped, and free the seats of those that may not come back.

    Licences in use at the moment are left for the next time; a heartbeat that comes first keeps its
    machine. After a maintenance, which refuses heartbeats, machines have a window to be heard of.

    :param at_most: machines of each policy.
    :returns: how many seats are free now.
    """
    died: list[tuple[UUID, UUID]] = []
    lost: list[tuple[UUID, UUID, datetime]] = []
    resumed = maintenance.current().changed_at
    for policy in policies_with_heartbeat():
        if resumed is not None and now < resumed + timedelta(seconds=policy.heartbeat_seconds):
            continue
        died += machines_due(policy.id, now, Machine.died_at.is_(None), limit=at_most)
        if policy.cull_strategy is CullStrategy.DEACTIVATE and policy.revival_seconds is not None:
            cutoff = now - timedelta(seconds=policy.revival_seconds)
            due = machines_due(policy.id, cutoff, limit=at_most)
            lost += [(license_id, machine_id, cutoff) for license_id, machine_id in due]
    locked = _lock_idle({license_id for license_id, _ in died} | {license_id for license_id, _, _ in lost})
    for license_id, machine_id in died:
        if license_id in locked:
            _tell_death(license_id, machine_id, now)
    return sum(
        seats.free(license_id, machine_id, Machine.heartbeat_due_at <= cutoff)
        for license_id, machine_id, cutoff in lost
        if license_id in locked
    )


def _lock_idle(license_ids: set[UUID]) -> set[UUID]:
    """Lock those of the licences that nobody else has locked."""
    statement = select(License.id).where(License.id.in_(license_ids)).order_by(License.id)
    return set(db.session.scalars(statement.with_for_update(skip_locked=True)))


def _tell_death(license_id: UUID, machine_id: UUID, now: datetime) -> None:
    """Tell once that a machine's heartbeat stopped, unless it came back just now."""
    dead = (Machine.id == machine_id, Machine.heartbeat_due_at <= now, Machine.died_at.is_(None))
    noted = update(Machine).where(*dead).values(died_at=now).execution_options(synchronize_session=False)
    if affected(noted) == 1:
        changes = {"machine_id": (machine_id, machine_id)}
        tell("machine_died", license_id, changes, machine_id=str(machine_id))
