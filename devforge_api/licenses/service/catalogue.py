"""Products, entitlements and policies: made, changed and removed in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.errors import NotFound, ValidationFailed
from devforge_api.licenses.errors import (
    CodeTaken,
    EntitlementNotFound,
    InUse,
    PolicyNotFound,
    ProductNotFound,
)
from devforge_api.licenses.models import Entitlement, Policy, PolicyEntitlement, Product
from devforge_api.licenses.queries import Terms, entitlement_ids
from devforge_api.licenses.service import rules
from devforge_api.licenses.service.touched import Touched, tell_touched

Row = Product | Entitlement | Policy


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three tables."""

    name: str
    model: type[Any]
    missing: type[NotFound]


PRODUCT = Kind("product", Product, ProductNotFound)
ENTITLEMENT = Kind("entitlement", Entitlement, EntitlementNotFound)
POLICY = Kind("policy", Policy, PolicyNotFound)


def get(kind: Kind, row_id: UUID, *, for_update: bool = False) -> Any:
    """One row. :raises NotFound: the kind's own.

    :param for_update: lock it until commit. Whoever refers to it need not wait for that, nor is waited
        for: a licence that moves to a policy is locked before the policy, one that an edit touches after.
    """
    statement = select(kind.model).where(kind.model.id == row_id)
    if for_update:
        if kind is ENTITLEMENT:  # before it, as they are where a policy's list is edited
            locked = _policies_with(row_id).order_by(Policy.id).with_for_update(key_share=True)
            db.session.execute(locked)
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    row = db.session.scalar(statement)
    if row is None:
        raise kind.missing
    return row


def create(kind: Kind, values: Mapping[str, Any]) -> Any:
    """Make a row.

    :raises CodeTaken: another row has the code. :raises ValidationFailed: an unknown reference, or
        terms that contradict each other.
    """
    values = dict(values)
    codes = values.pop("entitlements", None)
    if kind is POLICY and db.session.get(Product, values["product_id"]) is None:
        raise ValidationFailed.of("product_id", "There is no such product.", "NOT_FOUND")
    row = kind.model(**values)
    _flush_new(row)
    if kind is POLICY:
        rules.check(row)
    changes: dict[str, tuple[Any, Any]] = {"name": (None, row.name)}
    if codes is not None:
        changes["entitlements"] = (None, _set_entitlements(row, codes))
    audit.record(f"{kind.name}.created", target_type=kind.name, target_id=row.id, changes=changes)
    return row


def update(kind: Kind, row: Any, values: Mapping[str, Any]) -> Any:
    """Change a row that this transaction has locked.

    Whatever changes the terms of policies moves their versions, by which terms are remembered.

    :raises CodeTaken: another row has the code. :raises ValidationFailed: an unknown reference, or
        terms that contradict each other.
    """
    values = dict(values)
    codes = values.pop("entitlements", None)
    if values.get("product_id", getattr(row, "product_id", None)) != getattr(row, "product_id", None):
        raise ValidationFailed.of("product_id", "A policy stays with its product.", "IMMUTABLE")
    known = rules.broken(row) if kind is POLICY else ()
    changes = audit.apply(row, values)
    if codes is not None and sorted(set(codes)) != row.entitlements:
        before = row.entitlements
        changes["entitlements"] = (before, _set_entitlements(row, codes))
        row.updated_at = utc_now()  # a column of its own, or the version would stay
    if changes:
        if kind is POLICY:
            rules.check(row, known=known)
        try:
            with db.session.begin_nested():
                db.session.flush()
        except IntegrityError as error:
            raise CodeTaken from error
        if "code" in changes:
            _move_versions(kind, row.id)
        audit.record(f"{kind.name}.updated", target_type=kind.name, target_id=row.id, changes=changes)
    return row


@dataclass(frozen=True, slots=True)
class EditedPolicy:
    """A policy after an edit, and whom that touches."""

    policy: Policy
    touched: Touched


def edit_policy(
    policy: Policy, values: Mapping[str, Any], *, now: datetime, preview: bool = False
) -> EditedPolicy:
    """Change a policy that this transaction has locked, and tell its licences' ledgers.

    :param preview: take everything back; the answer is as if it had been done.
    :raises ValidationFailed: an unknown reference, or terms that contradict each other.
    """
    with db.session.begin_nested() as attempt:
        product_code = db.session.scalars(select(Product.code).where(Product.id == policy.product_id)).one()
        before = Terms.of_policy(policy, product_code=product_code)
        update(POLICY, policy, values)
        after = Terms.of_policy(policy, product_code=product_code)
        touched = tell_touched(before, after, now=now)
        if preview:
            db.session.flush()
            db.session.expunge(policy)  # keeps what it would be
            attempt.rollback()
    return EditedPolicy(policy, touched)


def remove(kind: Kind, row: Any) -> None:
    """Delete a row. :raises InUse: something refers to it."""
    try:
        with db.session.begin_nested():
            db.session.delete(row)
            db.session.flush()
    except IntegrityError as error:
        raise InUse from error
    audit.record(f"{kind.name}.deleted", target_type=kind.name, target_id=row.id)


def _flush_new(row: Any) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError as error:
        raise CodeTaken from error


def _policies_with(entitlement_id: UUID) -> Select[UUID]:
    listed = select(PolicyEntitlement.policy_id).where(PolicyEntitlement.entitlement_id == entitlement_id)
    return select(Policy.id).where(Policy.id.in_(listed))


def _move_versions(kind: Kind, row_id: UUID) -> None:
    """A code of theirs is another one: remembered terms of these policies are not true any more."""
    which = Policy.product_id == row_id if kind is PRODUCT else Policy.id.in_(_policies_with(row_id))
    values = {"version": Policy.version + 1, "updated_at": utc_now()}
    moved = sql_update(Policy).where(which).values(values)
    db.session.execute(moved.execution_options(synchronize_session=False))


def _set_entitlements(policy: Policy, codes: Sequence[str]) -> list[str]:
    wanted = sorted(set(codes))
    found = entitlement_ids(wanted)
    if unknown := [code for code in wanted if code not in found]:
        raise ValidationFailed.of("entitlements", f"Unknown: {', '.join(unknown)}.", "NOT_FOUND")
    db.session.execute(delete(PolicyEntitlement).where(PolicyEntitlement.policy_id == policy.id))
    db.session.add_all(
        PolicyEntitlement(policy_id=policy.id, entitlement_id=entitlement_id)
        for entitlement_id in found.values()
    )
    db.session.flush()
    db.session.refresh(policy, ["entitlement_codes"])
    return wanted
