"""Seats: a machine takes one, holds it, gives it back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from devforge_api.audit import service as audit
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db, uuid7
from devforge_api.core.outbox import emit
from devforge_api.licenses.errors import (
    LicenseNotFound,
    MachineLimitExceeded,
    MachineNotFound,
    VerdictRefused,
)
from devforge_api.licenses.models import License, LicenseStatus, Machine, Policy
from devforge_api.licenses.queries import Facts, find_facts, find_machine
from devforge_api.licenses.service.keys import hash_key
from devforge_api.licenses.service.validation import (
    REMEDIED_BY_ACTIVATION,
    Scope,
    Verdict,
    failing_checks,
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

    The count moves by a conditional update that locks the licence's row until commit, so two
    machines cannot both take the last seat.

    :param product: code or id of the product that asks; another product's key takes no seat.
    :returns: the machine, and whether the seat is new.
    :raises LicenseNotFound: unknown key.
    :raises VerdictRefused: validation fails for another reason than the missing machine.
    :raises MachineLimitExceeded: every seat is taken.
    """
    facts = find_facts(hash_key(key), (fingerprint,))
    if facts is None:
        raise LicenseNotFound
    scope = Scope(fingerprints=(fingerprint,), product=product)
    _refuse_by_verdict(facts, scope, now)
    if facts.matching_machines and (held := find_machine(facts.license_id, fingerprint)):
        return held, False
    if not _take_seat(facts.license_id):
        return _explain_refusal(key, scope, now), False
    machine_id = _insert_machine(facts.license_id, fingerprint, name, platform)
    if machine_id is None:  # the same machine, a moment earlier: one seat is enough
        _return_seat(facts.license_id)
    else:
        _tell("activated", facts.license_id, machine_id)
    machine = find_machine(facts.license_id, fingerprint)
    assert machine is not None
    return machine, machine_id is not None


def deactivate(key: str, fingerprint: str) -> None:
    """Give a machine's seat back; possible in every state of the licence.

    :raises LicenseNotFound: unknown key. :raises MachineNotFound: it holds no seat.
    """
    by_key = select(License.id).where(License.key_hash == hash_key(key)).with_for_update()
    license_id = db.session.scalar(by_key)
    if license_id is None:
        raise LicenseNotFound
    machine = find_machine(license_id, fingerprint)
    if machine is None:
        raise MachineNotFound
    remove_machine(machine)


def remove_machine(machine: Machine) -> None:
    """Take a seat back from a machine of a locked licence.

    :raises MachineNotFound: it has given the seat back meanwhile.
    """
    if affected(delete(Machine).where(Machine.id == machine.id)) != 1:
        raise MachineNotFound
    _return_seat(machine.license_id)
    _tell("deactivated", machine.license_id, machine.id)


def _refuse_by_verdict(facts: Facts, scope: Scope, now: datetime) -> None:
    for code in failing_checks(facts, scope, now=now):
        if code == "TOO_MANY_MACHINES":  # a limit lowered below the seats in use
            if facts.matching_machines:
                continue
            raise MachineLimitExceeded(None, max_machines=facts.max_machines)
        if code not in REMEDIED_BY_ACTIVATION:
            raise VerdictRefused(code, Verdict(False, code).detail)


def _take_seat(license_id: UUID) -> bool:
    # The limit is read here and not earlier: the plan may have been changed meanwhile.
    limit = select(Policy.max_machines).where(Policy.id == License.policy_id).scalar_subquery()
    statement = (
        update(License)
        .where(
            License.id == license_id,
            License.status == LicenseStatus.ACTIVE,
            License.machine_count < func.coalesce(limit, License.machine_count + 1),
        )
        .values(machine_count=License.machine_count + 1, updated_at=License.updated_at)
        .execution_options(synchronize_session=False)
    )
    return affected(statement) == 1


def _return_seat(license_id: UUID) -> None:
    db.session.execute(
        update(License)
        .where(License.id == license_id)
        .values(machine_count=License.machine_count - 1, updated_at=License.updated_at)
        .execution_options(synchronize_session=False)
    )


def _insert_machine(
    license_id: UUID, fingerprint: str, name: str | None, platform: str | None
) -> UUID | None:
    """The new machine's id; None where the fingerprint holds a seat already."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    statement = (
        insert(Machine)
        .values(
            id=uuid7(),
            license_id=license_id,
            fingerprint=fingerprint,
            name=name,
            platform=platform,
            created_at=utc_now(),
        )
        .on_conflict_do_nothing(index_elements=["license_id", "fingerprint"])
        .returning(Machine.id)
    )
    return db.session.scalar(statement)


def _explain_refusal(key: str, scope: Scope, now: datetime) -> Machine:
    """Why no seat was taken: look again, after whoever was faster has committed."""
    assert scope.fingerprints
    facts = find_facts(hash_key(key), scope.fingerprints)
    if facts is None:
        raise LicenseNotFound
    _refuse_by_verdict(facts, scope, now)
    if held := find_machine(facts.license_id, scope.fingerprints[0]):
        return held
    raise MachineLimitExceeded(None, max_machines=facts.max_machines)


def _tell(verb: str, license_id: UUID, machine_id: UUID) -> None:
    changes = {"machine_id": (None, machine_id) if verb == "activated" else (machine_id, None)}
    audit.record(f"license.{verb}", target_type="license", target_id=license_id, changes=changes)
    emit(f"license.{verb}", license_id=str(license_id), machine_id=str(machine_id))
