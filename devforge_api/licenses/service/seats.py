"""A licence's seats: taken, kept and given back, while the licence's row is locked.

Who holds a seat already is only noted as heard of, by one conditional update of the machine's own
row. The licence's row is always locked before those of its machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import set_committed_value

from devforge_api.audit import service as audit
from devforge_api.core.clock import rfc3339
from devforge_api.core.db import db, unedited
from devforge_api.licenses.errors import (
    CoreLimitExceeded,
    FingerprintTaken,
    LicenseNotFound,
    MachineLimitExceeded,
    MachineNotFound,
)
from devforge_api.licenses.models import (
    ExpiryBasis,
    HeartbeatBasis,
    License,
    LicenseStatus,
    Machine,
    MachineComponent,
    Uniqueness,
)
from devforge_api.licenses.queries import Facts, Seat, least_recently_seen
from devforge_api.licenses.service import durations, trials
from devforge_api.licenses.service.limits import Limit, limit_of
from devforge_api.licenses.service.record import tell
from devforge_api.licenses.service.validation import is_dead, is_lost

EVERYWHERE = UUID(int=0)  # in `unique_within`


@dataclass(frozen=True, slots=True)
class Applicant:
    """A machine as it describes itself.

    :param components: names by fingerprint; None: it says nothing of them.
    """

    fingerprint: str
    name: str | None = None
    platform: str | None = None
    cores: int | None = None
    components: dict[str, str] | None = None


def lock(license_id: UUID) -> datetime | None:
    """Lock a licence until commit: nobody else decides about its seats.

    :returns: since when, or from when on, a seat may be taken over; None: at once.
    :raises LicenseNotFound: it has been removed.
    """
    statement = select(License.takeover_allowed_at).where(License.id == license_id).with_for_update()
    row = db.session.execute(statement).first()
    if row is None:
        raise LicenseNotFound
    allowed_at: datetime | None = row[0]
    return allowed_at


def take(facts: Facts, applicant: Applicant, *, beats: bool = False, leases: bool = False) -> Machine:
    """Give a machine a free seat of a locked licence.

    :param beats: its first heartbeat comes with it. :param leases: it gets a lease.
    :raises MachineLimitExceeded: no seat is free. :raises CoreLimitExceeded: it has too many cores.
    :raises FingerprintTaken: the fingerprint holds a seat where the policy admits one only.
    """
    if not limit_of(facts, "machines").admits(1):
        raise MachineLimitExceeded(None, **offer(facts))
    cores = counted_cores(facts, applicant)
    admit_cores(limit_of(facts, "cores"), cores)
    machine = seat_new(facts, applicant, cores=cores, beats=beats, leases=leases)
    count(facts.license_id, machines=1, cores=cores or 0)
    tell("activated", facts.license_id, {"machine_id": (None, machine.id)}, machine_id=str(machine.id))
    return machine


def counted_cores(facts: Facts, applicant: Applicant) -> int | None:
    """How many cores a machine is counted with: as it says, or one where they are limited."""
    if applicant.cores is None and facts.limit("cores") is not None:
        return 1
    return applicant.cores


def admit_cores(limit: Limit, more: int | None) -> None:
    """:raises CoreLimitExceeded: so many more are too many."""
    if more and not limit.admits(more):
        raise CoreLimitExceeded(None, max_cores=limit.maximum, core_count=limit.taken)


def seat_new(
    facts: Facts,
    applicant: Applicant,
    *,
    cores: int | None,
    beats: bool = False,
    leases: bool = False,
) -> Machine:
    """A new machine on a locked licence, whose limits admit it; the caller counts and tells of it.

    :raises FingerprintTaken: the fingerprint holds a seat where the policy admits one only.
    :raises TrialUsed: the machine has had its trial of the product.
    """
    terms, now = facts.terms, facts.at
    if terms.trial:
        trials.claim_machine(facts, applicant.fingerprint)
    begins = beats or terms.heartbeat_basis is HeartbeatBasis.CREATION
    machine = Machine(
        license_id=facts.license_id,
        fingerprint=applicant.fingerprint,
        unique_within=unique_within(terms.fingerprint_uniqueness, terms.policy_id, terms.product_id),
        name=applicant.name,
        platform=applicant.platform,
        cores=cores,
        last_seen_at=now,
        last_heartbeat_at=now if beats else None,
        heartbeat_due_at=next_due(facts) if begins else None,
        lease_counter=int(leases),
        created_at=now,
    )
    try:
        with db.session.begin_nested():
            db.session.add(machine)
            db.session.flush()
    except IntegrityError as error:
        raise FingerprintTaken from error
    set_committed_value(machine, "component_list", add_components(machine.id, applicant))
    durations.begin(facts.license_id, ExpiryBasis.FIRST_ACTIVATION, now)
    return machine


def unique_within(uniqueness: Uniqueness, policy_id: UUID, product_id: UUID) -> UUID | None:
    """Where no other seat may have a machine's fingerprint, as `Machine.unique_within` keeps it."""
    return {
        Uniqueness.LICENSE: None,
        Uniqueness.POLICY: policy_id,
        Uniqueness.PRODUCT: product_id,
        Uniqueness.EVERYWHERE: EVERYWHERE,
    }[uniqueness]


def add_components(machine_id: UUID, applicant: Applicant) -> list[dict[str, str]]:
    """Note what a machine of a locked licence says that it consists of."""
    parts = [{"fingerprint": part, "name": name} for part, name in (applicant.components or {}).items()]
    db.session.add_all(MachineComponent(machine_id=machine_id, **part) for part in parts)
    db.session.flush()
    return parts


def remove_machine(machine: Machine) -> None:
    """Take a seat back from a machine of a locked licence.

    :raises MachineNotFound: it has given the seat back meanwhile.
    """
    if not free(machine.license_id, machine.id):
        raise MachineNotFound


def change(machine: Machine, values: Mapping[str, Any]) -> Machine:
    """Name a machine of a locked licence; the trail tells that, not how people call it."""
    if audit.apply(machine, values):
        db.session.flush()
        changes = {"machine_id": (machine.id, machine.id)}
        audit.record(
            "license.machine_named", target_type="license", target_id=machine.license_id, changes=changes
        )
    return machine


def free(license_id: UUID, machine_id: UUID, *conditions: ColumnElement[bool]) -> bool:
    """Take a seat of a locked licence back. Returns whether the machine held it, on these conditions."""
    cores = unseat(machine_id, *conditions)
    if cores is None:
        return False
    count(license_id, machines=-1, cores=-cores)
    tell("deactivated", license_id, {"machine_id": (machine_id, None)}, machine_id=str(machine_id))
    return True


def unseat(machine_id: UUID, *conditions: ColumnElement[bool]) -> int | None:
    """Remove a machine; the caller counts and tells of it. Returns its cores, None: it is not there."""
    gone = delete(Machine).where(Machine.id == machine_id, *conditions).returning(Machine.cores)
    row = db.session.execute(gone.execution_options(synchronize_session=False)).first()
    return None if row is None else row[0] or 0


def count(license_id: UUID, *, machines: int = 0, cores: int = 0, **more: Any) -> None:
    """Keep a locked licence's counts."""
    counts = {"machine_count": License.machine_count + machines, "core_count": License.core_count + cores}
    db.session.execute(unedited(License, License.id == license_id, **counts, **more))


def offer(facts: Facts) -> dict[str, Any]:
    """What a refusal for want of a seat tells: the limit, who could go, and since when.

    ``takeover``: None where the policy lets no machine take over another one's seat.
    """
    allowed_at = db.session.scalar(select(License.takeover_allowed_at).where(License.id == facts.license_id))
    waits = allowed_at is not None and allowed_at > facts.at
    allowed = facts.terms.takeover_cooldown_seconds is not None
    return {
        "max_machines": facts.limit("machines"),
        "machines": [
            {
                "id": str(seen.id),
                "name": seen.name,
                "platform": seen.platform,
                "last_seen_at": rfc3339(seen.last_seen_at) if seen.last_seen_at else None,
            }
            for seen in least_recently_seen(facts.license_id)
        ],
        "takeover": {"allowed_at": rfc3339(allowed_at) if allowed_at and waits else None}
        if allowed
        else None,
    }


# --- heartbeats --------------------------------------------------------------------------------------


def next_due(facts: Facts) -> datetime | None:
    """When a machine that is heard of now must be heard of again; None: its policy asks for nothing."""
    if not facts.terms.require_heartbeat:
        return None
    return facts.at + timedelta(seconds=facts.terms.heartbeat_seconds)


def touch(facts: Facts, seat: Seat, *, beats: bool = False, leases: bool = False) -> Machine | None:
    """Note that a machine has been heard of, by one statement.

    :param beats: by a heartbeat, which keeps it alive or revives it.
    :param leases: it gets a lease, so its counter grows.
    :returns: the machine; None: it has lost its seat, cannot be revived any more, or its licence does
        not stand any more and gives no lease.
    """
    values: dict[str, Any] = {"last_seen_at": facts.at}
    held: list[ColumnElement[bool]] = [Machine.id == seat.machine_id]
    if leases:  # which outlives the moment: a revocation that was faster refuses it
        values["lease_counter"] = Machine.lease_counter + 1
        standing = License.status == LicenseStatus.ACTIVE
        held.append(select(License.id).where(License.id == Machine.license_id, standing).exists())
    if not beats:
        return _update(values, *held)
    values |= {"last_heartbeat_at": facts.at, "heartbeat_due_at": next_due(facts), "died_at": None}
    if is_lost(facts, seat):
        return None
    if is_dead(facts, seat):  # of two heartbeats at once, one revives it
        machine = _update(values, *held, Machine.heartbeat_due_at == seat.heartbeat_due_at)
        if machine is not None:
            due = (seat.heartbeat_due_at, machine.heartbeat_due_at)
            changes = {"machine_id": (machine.id, machine.id), "heartbeat_due_at": due}
            tell("machine_revived", facts.license_id, changes, machine_id=str(machine.id))
            return machine
    revival = facts.terms.revival_seconds
    if not facts.terms.require_heartbeat or revival is None:
        return _update(values, *held)
    due_at, cutoff = Machine.heartbeat_due_at, facts.at - timedelta(seconds=revival)
    return _update(values, *held, or_(due_at.is_(None), due_at > cutoff))


def _update(values: dict[str, Any], *conditions: ColumnElement[bool]) -> Machine | None:
    statement = (
        update(Machine)
        .where(*conditions)
        .values(values)
        .returning(Machine, Machine.component_list.expression)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    row = db.session.execute(statement).first()
    if row is None:
        return None
    machine, components = row
    set_committed_value(machine, "component_list", components)  # an entity comes without it
    found: Machine = machine
    return found
