"""Machines: who holds a licence's seats."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, column_property, mapped_column
from sqlalchemy.sql.functions import GenericFunction

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, uuid7


class _Objects(GenericFunction[Any]):
    """The rows of a group as a list of objects; arguments are names and columns by turns."""

    name = "list_of_objects"
    type = JSON()
    inherit_cache = True


@compiles(_Objects, "sqlite")
def _for_sqlite(element: _Objects, compiler: Any, **options: Any) -> str:
    return f"json_group_array(json_object({compiler.process(element.clauses, **options)}))"


@compiles(_Objects, "postgresql")
def _for_postgresql(element: _Objects, compiler: Any, **options: Any) -> str:
    return f"json_agg(json_build_object({compiler.process(element.clauses, **options)}))"


class MachineComponent(Model):
    """A part of a machine with a fingerprint of its own: a board, a disk, an installation."""

    __tablename__ = "machine_components"

    machine_id: Mapped[UUID] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Machine(Model):
    """A seat of a licence, taken by a fingerprint. Another machine takes another seat."""

    __tablename__ = "machines"
    __table_args__ = (
        UniqueConstraint("license_id", "fingerprint"),
        Index("ix_machines_unique_within_fingerprint", "unique_within", "fingerprint", unique=True),
        Index("ix_machines_license_id_created_at", "license_id", "created_at", "id"),
        Index("ix_machines_heartbeat_due_at", "heartbeat_due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"))
    fingerprint: Mapped[str]
    # The policy or product, or the nil UUID for everywhere, in which no other seat has this
    # fingerprint; None: the licence, which the constraint above holds.
    unique_within: Mapped[UUID | None]
    name: Mapped[str | None]
    platform: Mapped[str | None]
    cores: Mapped[int | None]
    last_heartbeat_at: Mapped[datetime | None]
    heartbeat_due_at: Mapped[datetime | None]  # dead from this instant on; None: no window has begun
    died_at: Mapped[datetime | None]  # when it was told that its heartbeat stopped; None: it beats
    last_seen_at: Mapped[datetime | None]
    lease_counter: Mapped[int] = mapped_column(BigInteger, default=0)  # of the lease given last; only grows
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    # One statement for a machine with its components, also where it is updated.
    component_list: Mapped[list[dict[str, str]] | None] = column_property(
        select(_Objects("name", MachineComponent.name, "fingerprint", MachineComponent.fingerprint))
        .where(MachineComponent.machine_id == id)  # noqa: A003 - the column above
        .correlate_except(MachineComponent)
        .scalar_subquery()
    )

    @property
    def components(self) -> list[dict[str, str]]:
        """Its parts, each with name and fingerprint, sorted."""
        return sorted(self.component_list or [], key=lambda part: (part["name"], part["fingerprint"]))
