"""What can be read about licences; validation by a single statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, literal_column, select
from sqlalchemy.orm import joinedload

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.core.statements import Prepared
from devforge_api.licenses.errors import LicenseNotFound, MachineNotFound
from devforge_api.licenses.models import (
    Entitlement,
    License,
    LicenseStatus,
    Machine,
    Policy,
    PolicyEntitlement,
    Product,
    split_codes,
)
from devforge_api.users.models import User, UserStatus

PRODUCTS = Listing(
    "ProductQuery",
    key=Product.id,
    filters={"code": Product.code, "name": Product.name, "created_at": Product.created_at},
    sorts={"created_at": Product.created_at, "name": Product.name, "code": Product.code},
    contains=("name",),
)
ENTITLEMENTS = Listing(
    "EntitlementQuery",
    key=Entitlement.id,
    filters={"code": Entitlement.code, "name": Entitlement.name, "created_at": Entitlement.created_at},
    sorts={"created_at": Entitlement.created_at, "name": Entitlement.name, "code": Entitlement.code},
    contains=("name",),
)
POLICIES = Listing(
    "PolicyQuery",
    key=Policy.id,
    filters={"product_id": Policy.product_id, "name": Policy.name, "created_at": Policy.created_at},
    sorts={"created_at": Policy.created_at, "name": Policy.name},
    contains=("name",),
)
_WITH_PLAN = joinedload(License.policy).joinedload(Policy.product)
LICENSES = Listing(
    "LicenseQuery",
    key=License.id,
    filters={
        "status": License.status,
        "user_id": License.user_id,
        "policy_id": License.policy_id,
        "product_id": License.product_id,
        "expires_at": License.expires_at,
        "created_at": License.created_at,
    },
    sorts={"created_at": License.created_at, "expires_at": License.expires_at},
    load=(_WITH_PLAN,),
)
MACHINES = Listing(
    "MachineQuery",
    key=Machine.id,
    filters={"fingerprint": Machine.fingerprint, "created_at": Machine.created_at},
    sorts={"created_at": Machine.created_at},
)


def licenses(*, owner_id: UUID | None) -> Select[License]:
    """Everybody's licences, or one owner's."""
    statement = select(License)
    return statement if owner_id is None else statement.where(License.user_id == owner_id)


def machines(license_id: UUID, *, owner_id: UUID | None = None) -> Select[Machine]:
    """The machines of a licence, or nothing if it must be an owner's and is not."""
    statement = select(Machine).where(Machine.license_id == license_id)
    if owner_id is None:
        return statement
    return statement.join(License, License.id == Machine.license_id).where(License.user_id == owner_id)


def get_license(license_id: UUID, *, owner_id: UUID | None, for_update: bool = False) -> License:
    """One licence with its plan.

    :param owner_id: whose it must be; None where the caller may see everybody's.
    :param for_update: lock it until commit.
    :raises LicenseNotFound: unknown, or not the owner's.
    """
    statement = licenses(owner_id=owner_id).where(License.id == license_id).options(_WITH_PLAN)
    if for_update:
        statement = statement.with_for_update(of=License).execution_options(populate_existing=True)
    license_ = db.session.scalar(statement)
    if license_ is None:
        raise LicenseNotFound
    return license_


def get_machine(license_: License, machine_id: UUID) -> Machine:
    """One machine of a licence.

    :raises MachineNotFound: not a machine of this licence.
    """
    machine = db.session.scalar(machines(license_.id).where(Machine.id == machine_id))
    if machine is None:
        raise MachineNotFound
    return machine


def find_machine(license_id: UUID, fingerprint: str) -> Machine | None:
    """The machine that holds a seat under this fingerprint."""
    return db.session.scalar(machines(license_id).where(Machine.fingerprint == fingerprint))


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a verdict depends on, of one licence at one moment."""

    license_id: UUID
    status: LicenseStatus
    expires_at: datetime | None
    machine_count: int
    metadata: dict[str, Any]
    user_id: UUID | None
    policy_id: UUID
    tier: str
    max_machines: int | None
    floating: bool
    strict: bool
    product_id: UUID
    product_code: str
    owner_status: UserStatus | None
    entitlements: list[str]
    matching_machines: int


_CODES = (
    select(func.aggregate_strings(Entitlement.code, ","))
    .join(PolicyEntitlement, PolicyEntitlement.entitlement_id == Entitlement.id)
    .where(PolicyEntitlement.policy_id == License.policy_id)
    .correlate(License)
    .scalar_subquery()
)


def _matching(machine: ColumnElement[bool]) -> ColumnElement[int]:
    count = select(func.count()).select_from(Machine).where(Machine.license_id == License.id, machine)
    return count.correlate(License).scalar_subquery()


def _facts(matching: ColumnElement[int]) -> Select[Any]:
    return (
        select(
            License.id, License.status, License.expires_at, License.machine_count, License.metadata_,
            License.user_id, Policy.id, Policy.name, Policy.max_machines, Policy.floating, Policy.strict,
            Product.id, Product.code, User.status, _CODES, matching,
        )
        .join(Policy, Policy.id == License.policy_id)
        .join(Product, Product.id == License.product_id)
        .outerjoin(User, User.id == License.user_id)
        .where(License.key_hash == bindparam("key_hash"))
    )  # fmt: skip


def _to_facts(*columns: Any) -> Facts:
    plain = list(columns)
    plain[-2] = split_codes(plain[-2])
    return Facts(*plain)


_FACTS = Prepared(_facts(literal_column("0")), _to_facts)
_FACTS_WITH_MACHINE = Prepared(_facts(_matching(Machine.fingerprint == bindparam("fingerprint"))), _to_facts)
_FACTS_WITH_MACHINES = _facts(_matching(Machine.fingerprint.in_(bindparam("fingerprints", expanding=True))))


def find_facts(key_hash: str, fingerprints: Sequence[str]) -> Facts | None:
    """The facts of the licence with this key, by one statement; None for an unknown key."""
    if not fingerprints:
        return _FACTS.first(key_hash=key_hash)
    if len(fingerprints) == 1:
        return _FACTS_WITH_MACHINE.first(key_hash=key_hash, fingerprint=fingerprints[0])
    values = {"key_hash": key_hash, "fingerprints": list(fingerprints)}
    row = db.session.execute(_FACTS_WITH_MACHINES, values).first()
    return None if row is None else _to_facts(*row)
