"""What files and signed keys tell of beside a licence's facts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.licenses.models import Machine, MachineComponent, Product
from devforge_api.licenses.queries.lists import machines


def oldest_machines(license_id: UUID, limit: int) -> Sequence[Machine]:
    """So many machines of a licence, in the order in which they took their seats."""
    statement = machines(license_id).order_by(Machine.created_at, Machine.id).limit(limit)
    return db.session.scalars(statement).all()


def components(machine_id: UUID) -> Sequence[tuple[str, str]]:
    """The names and fingerprints of a machine's components, by name."""
    statement = select(MachineComponent.name, MachineComponent.fingerprint)
    statement = statement.where(MachineComponent.machine_id == machine_id).order_by(MachineComponent.name)
    return [(name, fingerprint) for name, fingerprint in db.session.execute(statement)]


def product_code(product_id: UUID) -> str:
    """The code of a product that is there."""
    return db.session.scalars(select(Product.code).where(Product.id == product_id)).one()
