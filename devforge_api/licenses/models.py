"""Products, policies, entitlements, licences and the machines that hold their seats."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7
from devforge_api.core.encryption import decrypt


class LicenseStatus(StrEnum):
    """``revoked`` is for good; expiry is no status, it follows from ``expires_at``."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


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
    """A plan of a product; its name is the *tier* of its licences."""

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
    max_machines: Mapped[int | None]  # None: as many as they like
    floating: Mapped[bool] = mapped_column(default=False)
    strict: Mapped[bool] = mapped_column(default=False)  # valid only with at least one machine
    duration_days: Mapped[int | None]  # None: perpetual
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


class License(Timestamps, Model):
    """A customer's copy of a policy."""

    __tablename__ = "licenses"
    __table_args__ = (
        CheckConstraint("machine_count >= 0", name="machine_count_not_negative"),
        Index("ix_licenses_created_at_id", "created_at", "id"),
        Index("ix_licenses_expires_at_id", "expires_at", "id"),
        Index("ix_licenses_status_created_at", "status", "created_at", "id"),
        Index("ix_licenses_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_licenses_policy_id_created_at", "policy_id", "created_at", "id"),
        Index("ix_licenses_product_id_created_at", "product_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="RESTRICT"))
    # The policy's product, repeated so that lists can be filtered by it through an index.
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="RESTRICT"))
    # A licence outlives its owner's account: the key may be in use in a company.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    waiting_email_key: Mapped[str | None] = mapped_column(
        String(800), index=True
    )  # whose verified owner gets it
    key_hash: Mapped[str] = mapped_column(unique=True)
    encrypted_key: Mapped[str] = mapped_column(Text)
    status: Mapped[LicenseStatus] = mapped_column(checked_enum(LicenseStatus), default=LicenseStatus.ACTIVE)
    expires_at: Mapped[datetime | None]  # expired from this instant on; None: perpetual
    machine_count: Mapped[int] = mapped_column(default=0)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    policy: Mapped[Policy] = relationship(lazy="raise", viewonly=True)

    @property
    def key(self) -> str:
        """The key in full, decrypted: for the eyes of its owner."""
        return decrypt(self.encrypted_key)

    __mapper_args__ = {"version_id_col": version}


class Machine(Model):
    """A seat of a licence, taken by a fingerprint. Immutable: another machine takes another seat."""

    __tablename__ = "machines"
    __table_args__ = (
        UniqueConstraint("license_id", "fingerprint"),
        Index("ix_machines_license_id_created_at", "license_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"))
    fingerprint: Mapped[str]
    name: Mapped[str | None]
    platform: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
