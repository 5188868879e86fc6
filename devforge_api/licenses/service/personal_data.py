"""Licences and machines as part of what is known of a person.

A licence outlives its owner's account, as the key may be in use in a company: it stays, without
owner, and its machines without the names that people gave them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, delete, or_, select, union_all, update

from devforge_api.audit import service as audit
from devforge_api.core.db import db, unedited
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run
from devforge_api.licenses.models import (
    LedgerEntry,
    License,
    LicenseEntitlement,
    LicenseUser,
    Machine,
    MachineComponent,
    TrialUse,
)
from devforge_api.licenses.service import revocations
from devforge_api.users.service import email_key


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    secrets = frozenset({"key_hash", "encrypted_key", "imported_as"})  # the owner reads keys from the API
    mine = select(License.id).where(License.user_id == subject.user_id)
    yield "licenses", rows(License, License.user_id == subject.user_id, without=secrets)
    yield "machines", rows(Machine, Machine.license_id.in_(mine))
    theirs = select(Machine.id).where(Machine.license_id.in_(mine))
    yield "machine_components", rows(MachineComponent, MachineComponent.machine_id.in_(theirs))
    yield "license_entitlements", rows(LicenseEntitlement, LicenseEntitlement.license_id.in_(mine))
    yield "license_ledger", rows(LedgerEntry, LedgerEntry.license_id.in_(mine))
    yield "license_users", rows(LicenseUser, LicenseUser.user_id == subject.user_id)
    machine_s = frozenset({"fingerprint_hash"})  # None in a user's row
    yield "trial_uses", rows(TrialUse, TrialUse.user_id == subject.user_id, without=machine_s)


def _erase(subject: Subject) -> Iterator[Erased]:
    theirs = License.user_id == subject.user_id
    if subject.email_verified:  # else nobody knows whose the address is, that a licence waits for
        theirs = or_(theirs, License.waiting_email_key == email_key(subject.email))
    # Locked first, as by an activation: what it adds is either seen here, or no longer the user's.
    # All of them in the order of their ids, so that two who use each other's licences wait in line.
    used = select(LicenseUser.license_id).where(LicenseUser.user_id == subject.user_id)
    concerned = union_all(select(License.id).where(theirs), used)
    locked = select(License.id).where(License.id.in_(concerned)).order_by(License.id).with_for_update()
    db.session.scalars(locked).all()
    ids = list(db.session.scalars(select(License.id).where(theirs)))
    db.session.execute(unedited(License, License.id.in_(used), user_count=License.user_count - 1))
    gone = delete(LicenseUser).where(LicenseUser.user_id == subject.user_id)
    yield run("license_users", "removed", gone)
    yield run("trial_uses", "removed", delete(TrialUse).where(TrialUse.user_id == subject.user_id))
    names = update(Machine).where(Machine.license_id.in_(ids), Machine.name.is_not(None)).values(name=None)
    yield run("machines", "anonymized", names)
    for license_id in ids:  # those of a banned owner, who is none now
        revocations.note(license_id)
    detached = unedited(License, License.id.in_(ids), user_id=None, waiting_email_key=None)
    yield run("licenses", "anonymized", detached)
    ledger: Any = LedgerEntry.__table__  # the mapped class refuses every change
    spoken = and_(ledger.c.license_id.in_(ids), ledger.c.reason.is_not(None))
    yield run("license_ledger", "anonymized", update(ledger).where(spoken).values(reason=None))
    yield Erased("audit_events", "anonymized", audit.forget_origins(ids))


TABLES = frozenset({
    "licenses", "machines", "machine_components", "license_entitlements", "license_ledger", "license_users",
    "retired_keys", "trial_uses",
})  # fmt: skip
LICENSE_DATA = PersonalData("licenses", TABLES, _export, _erase)
