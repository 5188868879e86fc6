"""What can be listed and looked up about licences."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Select, select, union_all
from sqlalchemy.orm import joinedload, undefer, with_expression

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.licenses.errors import LicenseNotFound, LicenseUserNotFound, MachineNotFound
from devforge_api.licenses.models import (
    Entitlement,
    License,
    LicenseUser,
    Machine,
    Policy,
    Product,
)
from devforge_api.users.models import User

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
_WITH_PLAN = (
    joinedload(License.policy).joinedload(Policy.product),
    undefer(License.own_entitlement_codes),
)
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
    load=_WITH_PLAN,
)
MACHINES = Listing(
    "MachineQuery",
    key=Machine.id,
    filters={"fingerprint": Machine.fingerprint, "created_at": Machine.created_at},
    sorts={"created_at": Machine.created_at},
)


_EMAIL = select(User.email).where(User.id == LicenseUser.user_id).scalar_subquery()
LICENSE_USERS = Listing(
    "LicenseUserQuery",
    key=LicenseUser.user_id,
    filters={"created_at": LicenseUser.created_at},
    sorts={"created_at": LicenseUser.created_at},
    load=(with_expression(LicenseUser.email, _EMAIL),),
)


def licenses(*, reader_id: UUID | None) -> Select[License]:
    """Everybody's licences, or those that somebody owns or may use."""
    statement = select(License)
    return statement if reader_id is None else statement.where(License.id.in_(_readable_by(reader_id)))


def machines(license_id: UUID, *, reader_id: UUID | None = None) -> Select[Machine]:
    """The machines of a licence, or nothing if somebody must own or use it and does not."""
    statement = select(Machine).where(Machine.license_id == license_id)
    if reader_id is None:
        return statement
    return statement.where(Machine.license_id.in_(_readable_by(reader_id)))


def license_users(license_id: UUID, *, owner_id: UUID | None) -> Select[LicenseUser]:
    """Who was added to a licence, or nothing if it must be an owner's and is not."""
    statement = select(LicenseUser).where(LicenseUser.license_id == license_id)
    if owner_id is None:
        return statement
    return statement.join(License, License.id == LicenseUser.license_id).where(License.user_id == owner_id)


def _readable_by(user_id: UUID) -> CompoundSelect[UUID]:
    # Each part by its index; as alternatives of one condition they would read the whole table.
    own = select(License.id).where(License.user_id == user_id)
    return union_all(own, select(LicenseUser.license_id).where(LicenseUser.user_id == user_id))


def get_readable_license(license_id: UUID, *, reader_id: UUID | None) -> License:
    """One licence with its plan, for its owner and for who was added to it.

    :param reader_id: who asks; None where the caller may see everybody's.
    :raises LicenseNotFound: unknown, or neither the reader's own nor to be used by them.
    """
    statement = licenses(reader_id=reader_id).where(License.id == license_id).options(*_WITH_PLAN)
    license_ = db.session.scalar(statement)
    if license_ is None:
        raise LicenseNotFound
    return license_


def find_license_user(license_id: UUID, user_id: UUID) -> LicenseUser | None:
    """Somebody who was added to a licence, with the account's address."""
    statement = license_users(license_id, owner_id=None).where(LicenseUser.user_id == user_id)
    options = LICENSE_USERS.load
    return db.session.scalar(statement.options(*options).execution_options(populate_existing=True))


def get_license_user(license_id: UUID, user_id: UUID) -> LicenseUser:
    """The same. :raises LicenseUserNotFound: nobody of this id was added."""
    found = find_license_user(license_id, user_id)
    if found is None:
        raise LicenseUserNotFound
    return found


def get_license(license_id: UUID, *, owner_id: UUID | None, for_update: bool = False) -> License:
    """One licence with its plan, for whoever may change it.

    :param owner_id: whose it must be; None where the caller may see everybody's.
    :param for_update: lock it until commit.
    :raises LicenseNotFound: unknown, or not the owner's.
    """
    mine = [License.id == license_id]
    if owner_id is not None:
        mine.append(License.user_id == owner_id)
    if for_update:
        license_ = next(iter(lock_licenses(*mine)), None)
    else:
        license_ = db.session.scalar(select(License).where(*mine).options(*_WITH_PLAN))
    if license_ is None:
        raise LicenseNotFound
    return license_


def lock_licenses(*which: ColumnElement[bool]) -> Sequence[License]:
    """Licences with their plans, held until commit in the order in which everybody locks several.

    By two statements: one that waits for a row which moves to another policy meanwhile finds the row of
    then, and no policy to it.
    """
    locked = select(License.id).where(*which).order_by(License.id).with_for_update()
    held = License.id.in_(db.session.scalars(locked).all())
    statement = select(License).where(held).options(*_WITH_PLAN).order_by(License.id)
    return db.session.scalars(statement.execution_options(populate_existing=True)).all()


def find_policy_id(name: str) -> UUID | None:
    """The policy that people call so: by its id, or as PRODUCT_CODE/NAME.

    :returns: None: there is none, or there are several.
    """
    statement = select(Policy.id).join(Product, Product.id == Policy.product_id)
    try:
        statement = statement.where(Policy.id == UUID(name))
    except ValueError:
        code, _, policy = name.partition("/")
        statement = statement.where(Product.code == code, Policy.name == policy)
    found = db.session.scalars(statement).all()
    return found[0] if len(found) == 1 else None


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
