"""Everything that a verdict depends on, by one statement; more only for what few callers ask.

A licence's row comes with its policy's version, and the terms of that version are remembered: a
policy is edited rarely, and whatever changes its terms moves its version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.orm import aliased

from devforge_api.core.db import db, in_unit_of_work
from devforge_api.core.statements import Prepared
from devforge_api.licenses.errors import LicenseNotFound
from devforge_api.licenses.models import (
    Entitlement,
    License,
    LicenseStatus,
    Machine,
    Policy,
    PolicyEntitlement,
    Product,
    RetiredKey,
    split_codes,
)
from devforge_api.licenses.queries.entitlements import own_entitlements
from devforge_api.licenses.queries.terms import Terms
from devforge_api.users.models import User, UserStatus


@dataclass(frozen=True, slots=True)
class Seat:
    """A machine as verdicts see it."""

    machine_id: UUID
    fingerprint: str
    last_heartbeat_at: datetime | None
    heartbeat_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one licence at one moment. ``seats``: those with the fingerprints that were asked about."""

    at: datetime
    license_id: UUID
    status: LicenseStatus
    expires_at: datetime | None
    check_in_due_at: datetime | None  # None also where the policy does not ask any more
    first_validated_at: datetime | None
    user_id: UUID | None
    owner_status: UserStatus | None
    own_limits: dict[str, int | None]  # by the names of `Terms.limits`
    taken: dict[str, int]  # the same names
    metadata: dict[str, Any]
    terms: Terms
    key_valid_until: datetime | None = None  # of a key that was replaced; None: the present one
    own_entitlements: tuple[tuple[str, datetime | None], ...] = ()
    seats: tuple[Seat, ...] = ()

    def limit(self, name: str) -> int | None:
        """The licence's own limit, or else its policy's; None: none."""
        own = self.own_limits[name]
        return self.terms.limits[name] if own is None else own

    @property
    def entitlements(self) -> list[str]:
        """The codes of what it includes, sorted."""
        own = {code for code, until in self.own_entitlements if until is None or until > self.at}
        return sorted(own.union(self.terms.entitlements)) if own else list(self.terms.entitlements)

    @property
    def tier(self) -> str:
        """The policy's name."""
        return self.terms.tier

    @property
    def product_id(self) -> UUID:
        """What it is for."""
        return self.terms.product_id

    @property
    def product_code(self) -> str:
        """The same, by code."""
        return self.terms.product_code

    @property
    def policy_id(self) -> UUID:
        """Its plan."""
        return self.terms.policy_id

    @property
    def max_machines(self) -> int | None:
        """Its seats; None: as many as they like."""
        return self.limit("machines")

    @property
    def machine_count(self) -> int:
        """Seats that are taken."""
        return self.taken["machines"]

    @property
    def max_cores(self) -> int | None:
        """Cores of all its machines together; None: as many as they like."""
        return self.limit("cores")

    @property
    def core_count(self) -> int:
        """Cores of its machines."""
        return self.taken["cores"]

    @property
    def max_users(self) -> int | None:
        """Who may use it, the owner included; None: as many as they like."""
        return self.limit("users")

    @property
    def user_count(self) -> int:
        """Who uses it, the owner included."""
        return self.taken["users"]

    @property
    def max_uses(self) -> int | None:
        """How often it may be used; None: as often as they like."""
        return self.limit("uses")

    @property
    def uses(self) -> int:
        """How often it was used."""
        return self.taken["uses"]

    @property
    def heartbeat_seconds(self) -> int | None:
        """Within what time its machines ping again and again; None: they need not."""
        return self.terms.heartbeat_seconds if self.terms.require_heartbeat else None

    @property
    def trial(self) -> bool:
        """Whether its policy is one to try the product."""
        return self.terms.trial


_Seat = aliased(Machine)


def _facts() -> Any:
    by_key = select(License.id).where(License.key_hash == bindparam("key_hash")).scalar_subquery()
    by_retired_key = (
        select(RetiredKey.license_id).where(RetiredKey.key_hash == bindparam("key_hash")).scalar_subquery()
    )
    return (
        select(
            License.id, License.status, License.expires_at, License.check_in_due_at,
            License.first_validated_at, License.user_id, User.status,
            License.max_machines, License.max_cores, License.max_users, License.max_uses,
            License.machine_count, License.core_count, License.user_count, License.uses,
            License.metadata_, Policy.id, Policy.version, License.entitlement_count,
            License.key_hash == bindparam("key_hash"),
        )
        .join(Policy, Policy.id == License.policy_id)
        .outerjoin(User, User.id == License.user_id)
        .where(License.id == func.coalesce(by_key, by_retired_key))
    )  # fmt: skip


def _facts_with_seat() -> Any:
    here = and_(_Seat.license_id == License.id, _Seat.fingerprint == bindparam("fingerprint"))
    columns = (_Seat.id, _Seat.last_heartbeat_at, _Seat.heartbeat_due_at)
    return _facts().outerjoin(_Seat, here).add_columns(*columns)


def _row(*columns: Any) -> tuple[Any, ...]:
    return columns


_FACTS = Prepared(_facts(), _row)
_FACTS_WITH_SEAT = Prepared(_facts_with_seat(), _row)


def find_facts(key_hash: str, fingerprints: Sequence[str] = (), *, now: datetime) -> Facts | None:
    """The facts of the licence with this key; None for an unknown key.

    :param fingerprints: which of the machines matter; for one, no statement more is needed.
    """
    if len(fingerprints) == 1:
        row = _FACTS_WITH_SEAT.first(key_hash=key_hash, fingerprint=fingerprints[0])
    else:
        row = _FACTS.first(key_hash=key_hash)
    if row is None:
        return None
    facts = _to_facts(row, now)
    if len(row) > _WIDTH and row[_WIDTH] is not None:
        machine_id, last, due = row[_WIDTH:]
        facts = replace(facts, seats=(Seat(machine_id, fingerprints[0], last, due),))
    elif len(fingerprints) > 1:
        facts = replace(facts, seats=find_seats(facts.license_id, fingerprints))
    if not row[_WIDTH - 1]:
        until = _key_valid_until(key_hash)
        if until is None:
            return None
        facts = replace(facts, key_valid_until=until)
    return facts


def facts_of(license_: License, *, now: datetime) -> Facts:
    """The facts of a licence that was read before, as they are now.

    :raises LicenseNotFound: it was removed, or given another key, meanwhile.
    """
    facts = find_facts(license_.key_hash, now=now)
    if facts is None:
        raise LicenseNotFound
    return facts


_WIDTH = 20  # columns of `_facts`


def _to_facts(row: Sequence[Any], now: datetime) -> Facts:
    (
        license_id, status, expires_at, check_in_due_at, first_validated_at, user_id, owner_status,
        max_machines, max_cores, max_users, max_uses, machines, cores, users, uses,
        metadata, policy_id, policy_version, entitlement_count, _,
    ) = row[:_WIDTH]  # fmt: skip
    terms = terms_of(policy_id, policy_version)
    return Facts(
        now, license_id, status, expires_at, due_under(terms, check_in_due_at), first_validated_at,
        user_id, owner_status,
        {"machines": max_machines, "cores": max_cores, "users": max_users, "uses": max_uses},
        {"machines": machines, "cores": cores, "users": users + (user_id is not None), "uses": uses},
        metadata, terms,
        own_entitlements=own_entitlements(license_id) if entitlement_count else (),
    )  # fmt: skip


def due_under(terms: Terms, check_in_due_at: datetime | None) -> datetime | None:
    """A deadline that was stored, as long as the policy asks for check-ins: else nobody could keep it."""
    return None if terms.check_in_days is None else check_in_due_at


def find_seats(license_id: UUID, fingerprints: Sequence[str]) -> tuple[Seat, ...]:
    """The machines of a licence that have these fingerprints."""
    statement = select(
        Machine.id, Machine.fingerprint, Machine.last_heartbeat_at, Machine.heartbeat_due_at
    ).where(Machine.license_id == license_id, Machine.fingerprint.in_(set(fingerprints)))
    return tuple(Seat(*row) for row in db.session.execute(statement))


def _key_valid_until(key_hash: str) -> datetime | None:
    return db.session.scalar(select(RetiredKey.valid_until).where(RetiredKey.key_hash == key_hash))


_remembered: dict[UUID, Terms] = {}
REMEMBERED_AT_MOST = 1_000  # policies


def terms_of(policy_id: UUID, version: int) -> Terms:
    """The terms of a policy, as of this version or a later one."""
    found = _remembered.get(policy_id)
    if found is None or found.version != version:
        found = _read_terms(policy_id)
        if in_unit_of_work():  # it may see an edit that is rolled back, whose number another one gets
            return found
        if len(_remembered) >= REMEMBERED_AT_MOST:
            _remembered.clear()
        _remembered[policy_id] = found
    return found


def _read_terms(policy_id: UUID) -> Terms:
    codes = (
        select(func.aggregate_strings(Entitlement.code, ","))
        .join(PolicyEntitlement, PolicyEntitlement.entitlement_id == Entitlement.id)
        .where(PolicyEntitlement.policy_id == policy_id)
        .scalar_subquery()
    )
    columns = Policy.__table__.c
    statement = (
        select(*columns, Product.code.label("product_code"), codes.label("codes"))
        .join(Product, Product.id == Policy.product_id)
        .where(Policy.id == policy_id)
    )
    row = dict(db.session.execute(statement).one()._mapping)
    return Terms.of(row, product_code=row["product_code"], entitlements=split_codes(row["codes"]))
