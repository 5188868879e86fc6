"""Products, entitlements and policies: made, changed and removed in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
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
    """One row. :raises NotFound: the kind's own."""
    statement = select(kind.model).where(kind.model.id == row_id)
    if for_update:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = db.session.scalar(statement)
    if row is None:
        raise kind.missing
    return row


def create(kind: Kind, values: Mapping[str, Any]) -> Any:
    """Make a row.

    :raises CodeTaken: another row has the code. :raises ValidationFailed: an unknown reference.
    """
    values = dict(values)
    codes = values.pop("entitlements", None)
    if kind is POLICY and db.session.get(Product, values["product_id"]) is None:
        raise ValidationFailed.of("product_id", "There is no such product.", "NOT_FOUND")
    row = kind.model(**values)
    _flush_new(row)
    changes: dict[str, tuple[Any, Any]] = {"name": (None, row.name)}
    if codes is not None:
        changes["entitlements"] = (None, _set_entitlements(row, codes))
    audit.record(f"{kind.name}.created", target_type=kind.name, target_id=row.id, changes=changes)
    return row


def update(kind: Kind, row: Any, values: Mapping[str, Any]) -> Any:
    """Change a row that this transaction has locked.

    :raises CodeTaken: another row has the code. :raises ValidationFailed: an unknown reference.
    """
    values = dict(values)
    codes = values.pop("entitlements", None)
    if values.get("product_id", getattr(row, "product_id", None)) != getattr(row, "product_id", None):
        raise ValidationFailed.of("product_id", "A policy stays with its product.", "IMMUTABLE")
    changes = audit.apply(row, values)
    if codes is not None and sorted(set(codes)) != row.entitlements:
        before = row.entitlements
        changes["entitlements"] = (before, _set_entitlements(row, codes))
    if changes:
        try:
            with db.session.begin_nested():
                db.session.flush()
        except IntegrityError as error:
            raise CodeTaken from error
        audit.record(f"{kind.name}.updated", target_type=kind.name, target_id=row.id, changes=changes)
    return row


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


def _set_entitlements(policy: Policy, codes: Sequence[str]) -> list[str]:
    wanted = sorted(set(codes))
    rows = db.session.execute(select(Entitlement.code, Entitlement.id).where(Entitlement.code.in_(wanted)))
    found = {row.code: row.id for row in rows}
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
