"""Licences, who uses them, and what became of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    bindparam,
    case,
    event,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    Session,
    column_property,
    mapped_column,
    query_expression,
    relationship,
)

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7
from devforge_api.core.encryption import decrypt
from devforge_api.licenses.models.catalogue import Entitlement, Policy, split_codes
from devforge_api.licenses.models.terms import Overage


class LicenseStatus(StrEnum):
    """``pending``: paid for, or nearly, and not given out; ``revoked`` is for good.

    Expiry is no status, it follows from ``expires_at``.
    """

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class LicenseEntitlement(Model):
    """A feature that one licence has beside its policy's, perhaps for a time."""

    __tablename__ = "license_entitlements"

    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"), primary_key=True)
    entitlement_id: Mapped[UUID] = mapped_column(
        ForeignKey("entitlements.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    expires_at: Mapped[datetime | None]


UNTOLD_EXPIRY = "expires_at IS NOT NULL AND (expiry_told_at IS NULL OR expiry_told_at <> expires_at)"


class License(Timestamps, Model):
    """A customer's copy of a policy."""

    __tablename__ = "licenses"
    __table_args__ = (
        CheckConstraint("machine_count >= 0", name="machine_count_not_negative"),
        CheckConstraint("core_count >= 0", name="core_count_not_negative"),
        CheckConstraint("user_count >= 0", name="user_count_not_negative"),
        CheckConstraint("uses >= 0", name="uses_not_negative"),
        Index("ix_licenses_created_at_id", "created_at", "id"),
        Index("ix_licenses_expires_at_id", "expires_at", "id"),
        Index("ix_licenses_status_created_at", "status", "created_at", "id"),
        Index("ix_licenses_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_licenses_policy_id_created_at", "policy_id", "created_at", "id"),
        Index("ix_licenses_product_id_created_at", "product_id", "created_at", "id"),
        Index("ix_licenses_imported_as", "imported_as", unique=True),
        # Expiries that are still to be told: few, however many there are.
        Index(
            "ix_licenses_untold_expiry",
            "expires_at",
            postgresql_where=text(UNTOLD_EXPIRY),
            sqlite_where=text(UNTOLD_EXPIRY),
        ),
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
    expires_at: Mapped[datetime | None]  # expired from this instant on; None: perpetual, or not begun
    # Its own limits, in place of the policy's.
    max_machines: Mapped[int | None]
    max_cores: Mapped[int | None]
    max_users: Mapped[int | None]
    max_uses: Mapped[int | None]
    machine_count: Mapped[int] = mapped_column(default=0)
    core_count: Mapped[int] = mapped_column(default=0)
    user_count: Mapped[int] = mapped_column(default=0)  # beside the owner
    uses: Mapped[int] = mapped_column(default=0)
    entitlement_count: Mapped[int] = mapped_column(default=0)  # of its own, beside the policy's
    first_validated_at: Mapped[datetime | None]
    last_validated_at: Mapped[datetime | None]  # some seconds late: written in batches
    check_in_due_at: Mapped[datetime | None]
    takeover_allowed_at: Mapped[datetime | None]  # None: at once
    expiry_told_at: Mapped[datetime | None]  # the `expires_at` whose passing has been told
    imported_as: Mapped[str | None]  # what named it in a file of another system
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    policy: Mapped[Policy] = relationship(lazy="raise", viewonly=True)
    # Joined by commas; None for most licences, which have none of their own.
    own_entitlement_codes: Mapped[str | None] = column_property(
        case(
            (
                entitlement_count > 0,
                select(func.aggregate_strings(Entitlement.code, ","))
                .join(LicenseEntitlement, LicenseEntitlement.entitlement_id == Entitlement.id)
                .where(
                    LicenseEntitlement.license_id == id,  # noqa: A003 - the column above
                    or_(
                        LicenseEntitlement.expires_at.is_(None),
                        LicenseEntitlement.expires_at > bindparam("now", callable_=utc_now, unique=True),
                    ),
                )
                .correlate_except(Entitlement, LicenseEntitlement)
                .scalar_subquery(),
            )
        ),
        deferred=True,
        raiseload=True,
        expire_on_flush=False,
    )

    @property
    def limits(self) -> dict[str, dict[str, Any]]:
        """What is taken of what, how much may be, and whether that is its own limit or the policy's."""
        taken = {
            "machines": self.machine_count,
            "cores": self.core_count,
            "users": self.user_count + (self.user_id is not None),
            "uses": self.uses,
        }
        return {name: self._limit(name, count) for name, count in taken.items()}

    def _limit(self, name: str, taken: int) -> dict[str, Any]:
        own: int | None = getattr(self, f"max_{name}")
        maximum: int | None = getattr(self.policy, f"max_{name}") if own is None else own
        overage = Overage.NONE if name == "uses" else self.policy.overage
        return {"taken": taken, "max": maximum, "own": own is not None, "overage": overage}

    @property
    def entitlements(self) -> list[str]:
        """The codes of what it includes at present: its policy's, and its own; sorted."""
        return sorted({*self.policy.entitlements, *split_codes(self.own_entitlement_codes)})

    @property
    def key(self) -> str:
        """The key in full, decrypted: for the eyes of its owner."""
        return decrypt(self.encrypted_key)

    __mapper_args__ = {"version_id_col": version}


class RetiredKey(Model):
    """A key that was replaced and still opens its licence for a while."""

    __tablename__ = "retired_keys"

    key_hash: Mapped[str] = mapped_column(primary_key=True)
    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"), index=True)
    valid_until: Mapped[datetime] = mapped_column(index=True)


class LicenseUser(Model):
    """Somebody who may use a licence beside its owner."""

    __tablename__ = "license_users"
    __table_args__ = (Index("ix_license_users_license_id_created_at", "license_id", "created_at", "user_id"),)

    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    email: Mapped[str | None] = query_expression()  # the account's, where it was asked for


class CauseKind(StrEnum):
    """Who or what changed a licence; ``time``: nobody did, a deadline passed."""

    USER = "user"
    KEY = "key"  # an app, with nothing but the key
    OPERATOR = "operator"  # the command line
    POLICY = "policy"
    PAYMENT = "payment"
    TIME = "time"


class LedgerEntry(Model):
    """One change of a licence's state, and its cause. Appended, never changed."""

    __tablename__ = "license_ledger"
    __table_args__ = (Index("ix_license_ledger_license_id_created_at", "license_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"))
    event: Mapped[str]  # as the outbox names it, without "license."; or "policy_changed"
    cause: Mapped[CauseKind] = mapped_column(checked_enum(CauseKind))
    cause_id: Mapped[str | None]  # of the user, policy or payment event
    reason: Mapped[str | None] = mapped_column(Text)  # in the words of whoever did it
    # {"field": [before, after]}, JSON values, without secrets.
    changes: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


@event.listens_for(LedgerEntry, "before_update")
@event.listens_for(LedgerEntry, "before_delete")
def _refuse_change(*_: object) -> None:
    raise RuntimeError("ledger entries are appended, never changed")


@event.listens_for(Session, "do_orm_execute")
def _refuse_bulk_change(state: ORMExecuteState) -> None:
    changes = state.is_update or state.is_delete
    if changes and state.bind_mapper is not None and state.bind_mapper.class_ is LedgerEntry:
        _refuse_change()


class UsageRequest(Model):
    """A request of an app that counted uses, by its ``Idempotency-Key``; kept for a day."""

    __tablename__ = "license_usage_requests"

    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    increment: Mapped[int]
    uses: Mapped[int] = mapped_column(default=0)  # as it was answered
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class Standing(StrEnum):
    """What the revocation list says of a licence."""

    REVOKED = "revoked"
    SUSPENDED = "suspended"
    RESTORED = "restored"
    DELETED = "deleted"


class Revocation(Model):
    """An entry of the list that apps read when they cannot ask; numbered in commit order."""

    __tablename__ = "license_revocations"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    license_id: Mapped[UUID] = mapped_column(index=True)  # no key: a removed licence stays listed
    standing: Mapped[Standing] = mapped_column(checked_enum(Standing))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
