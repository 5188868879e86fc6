"""What can be listed and looked up about licences."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.licenses.errors import LicenseNotFound, MachineNotFound
from devforge_api.licenses.models import Entitlement, License, Machine, Policy, Product

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


def get_machine(license_id: UUID, machine_id: UUID) -> Machine:
    """One machine of a licence.

    :raises MachineNotFound: not a machine of this licence.
    """
    machine = db.session.scalar(machines(license_id).where(Machine.id == machine_id))
    if machine is None:
        raise MachineNotFound
    return machine


def find_machine(license_id: UUID, fingerprint: str) -> Machine | None:
    """The machine that holds a seat under this fingerprint."""
    return db.session.scalar(machines(license_id).where(Machine.fingerprint == fingerprint))
