"""What is sold: products, entitlements, and policies with their terms."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7
from devforge_api.licenses.models.terms import (
    CullStrategy,
    ExpiryBasis,
    ExpiryStrategy,
    HeartbeatBasis,
    KeyScheme,
    Matching,
    Overage,
    RenewalBasis,
    TransferStrategy,
    Uniqueness,
)

DAY = 86_400  # seconds
# Where None means something: left to itself, the mapper would put the default in its place.
NULL_IS_A_VALUE = Integer().evaluates_none()


class Product(Timestamps, Model):
    """Something that is sold."""

    __tablename__ = "products"
    __table_args__ = (
        Index("ix_products_created_at_id", "created_at", "id"),
        Index("ix_products_name_id", "name", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


class Entitlement(Timestamps, Model):
    """A feature that a policy may include."""

    __tablename__ = "entitlements"
    __table_args__ = (
        Index("ix_entitlements_created_at_id", "created_at", "id"),
        Index("ix_entitlements_name_id", "name", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


class PolicyEntitlement(Model):
    """An entitlement within a policy."""

    __tablename__ = "policy_entitlements"

    # Removing a policy removes its list; an entitlement in use cannot be removed.
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True)
    entitlement_id: Mapped[UUID] = mapped_column(
        ForeignKey("entitlements.id", ondelete="RESTRICT"), primary_key=True, index=True
    )


class Policy(Timestamps, Model):
    """A plan of a product; its name is the *tier* of its licences.

    Deadlines are worked out when they begin and kept with the licence or the machine: editing a
    policy moves none of them.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("max_machines IS NULL OR max_machines > 0", name="max_machines_positive"),
        CheckConstraint("duration_days IS NULL OR duration_days > 0", name="duration_positive"),
        Index("ix_policies_created_at_id", "created_at", "id"),
        Index("ix_policies_name_id", "name", "id"),
        Index("ix_policies_product_id_created_at", "product_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="RESTRICT"))
    name: Mapped[str]
    # Limits; None: none. A licence may have its own.
    max_machines: Mapped[int | None]
    max_cores: Mapped[int | None]
    max_users: Mapped[int | None]
    max_uses: Mapped[int | None]
    overage: Mapped[Overage] = mapped_column(checked_enum(Overage), default=Overage.NONE)
    floating: Mapped[bool] = mapped_column(default=False)
    strict: Mapped[bool] = mapped_column(default=False)  # valid only with at least one machine
    # At most one of the two; neither: perpetual.
    duration_days: Mapped[int | None]
    duration_months: Mapped[int | None]
    expiry_strategy: Mapped[ExpiryStrategy] = mapped_column(
        checked_enum(ExpiryStrategy), default=ExpiryStrategy.RESTRICT
    )
    expiry_basis: Mapped[ExpiryBasis] = mapped_column(checked_enum(ExpiryBasis), default=ExpiryBasis.CREATION)
    renewal_basis: Mapped[RenewalBasis] = mapped_column(
        checked_enum(RenewalBasis), default=RenewalBasis.NOW_IF_EXPIRED
    )
    transfer_strategy: Mapped[TransferStrategy] = mapped_column(
        checked_enum(TransferStrategy), default=TransferStrategy.KEEP_EXPIRY
    )
    check_in_days: Mapped[int | None]  # None: no check-in is asked for
    # Heartbeats.
    require_heartbeat: Mapped[bool] = mapped_column(default=False)
    heartbeat_seconds: Mapped[int] = mapped_column(default=600)
    heartbeat_basis: Mapped[HeartbeatBasis] = mapped_column(
        checked_enum(HeartbeatBasis), default=HeartbeatBasis.FIRST_PING
    )
    cull_strategy: Mapped[CullStrategy] = mapped_column(
        checked_enum(CullStrategy), default=CullStrategy.DEACTIVATE
    )
    # None, where it is said: a dead machine may always return.
    revival_seconds: Mapped[int | None] = mapped_column(NULL_IS_A_VALUE, default=0)
    # Fingerprints.
    fingerprint_uniqueness: Mapped[Uniqueness] = mapped_column(
        checked_enum(Uniqueness), default=Uniqueness.LICENSE
    )
    fingerprint_matching: Mapped[Matching] = mapped_column(
        checked_enum(Matching, name="fingerprint_matching"), default=Matching.ANY
    )
    component_matching: Mapped[Matching] = mapped_column(
        checked_enum(Matching, name="component_matching"), default=Matching.MOST
    )
    # None, where it is said: no take-over.
    takeover_cooldown_seconds: Mapped[int | None] = mapped_column(NULL_IS_A_VALUE, default=DAY)
    required_scopes: Mapped[list[str]] = mapped_column(default=list)  # of ScopeName
    key_scheme: Mapped[KeyScheme] = mapped_column(checked_enum(KeyScheme), default=KeyScheme.RANDOM)
    trial: Mapped[bool] = mapped_column(default=False)  # once for each user, and for each machine
    # Offline: how long a lease holds, and what is granted beyond while we cannot be reached.
    lease_seconds: Mapped[int] = mapped_column(default=30 * DAY)
    offline_grace_seconds: Mapped[int] = mapped_column(default=7 * DAY)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    product: Mapped[Product] = relationship(lazy="raise", viewonly=True)
    # Joined by commas, which codes cannot hold: spares lists a query of their own.
    entitlement_codes: Mapped[str | None] = column_property(
        select(func.aggregate_strings(Entitlement.code, ","))
        .join(PolicyEntitlement, PolicyEntitlement.entitlement_id == Entitlement.id)
        .where(PolicyEntitlement.policy_id == id)  # noqa: A003 - the column above
        .correlate_except(Entitlement, PolicyEntitlement)
        .scalar_subquery()
    )

    __mapper_args__ = {"version_id_col": version}

    @property
    def entitlements(self) -> list[str]:
        """The codes of what it includes, sorted."""
        return split_codes(self.entitlement_codes)


def split_codes(joined: str | None) -> list[str]:
    """The sorted list that an aggregated string stands for."""
    return sorted(joined.split(",")) if joined else []


class TrialUse(Model):
    """Who, or which machine, has had a trial of a product: it stays when the licence goes."""

    __tablename__ = "trial_uses"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (fingerprint_hash IS NULL)", name="one_of_both"),
        UniqueConstraint("product_id", "user_id"),
        UniqueConstraint("product_id", "fingerprint_hash"),
        Index("ix_trial_uses_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="CASCADE"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    fingerprint_hash: Mapped[str | None]
    license_id: Mapped[UUID]  # whose trial it was; no key, as that may be removed
    created_at: Mapped[datetime]
