"""The ledger, and the inbox of what providers have told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, checked_enum, uuid7


class Account(StrEnum):
    """Where money is, or what it is. What comes to an account is positive."""

    PROVIDER = "provider"  # held by the provider for us
    REVENUE = "revenue"  # what was sold, hence negative
    REFUNDS = "refunds"  # what was given back of it
    DISPUTES = "disputes"  # what banks withhold, or have taken back


class LedgerLine(Model):
    """Half of a movement, or less. Appended, never changed; the lines of a posting sum to zero."""

    __tablename__ = "billing_ledger"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        UniqueConstraint("posting", "account"),  # nothing is posted twice
        Index("ix_billing_ledger_created_at_id", "created_at", "id"),
        Index("ix_billing_ledger_order_id_created_at", "order_id", "created_at", "id"),
        Index("ix_billing_ledger_account_created_at", "account", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    posting: Mapped[str]  # what moved, such as ``payment:<id>`` or ``refund_failed:<id>``
    account: Mapped[Account] = mapped_column(checked_enum(Account))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="RESTRICT"))
    event_id: Mapped[str | None]  # the provider's event that it became known by
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


@event.listens_for(LedgerLine, "before_update")
@event.listens_for(LedgerLine, "before_delete")
def _refuse_change(*_: object) -> None:
    raise RuntimeError("ledger lines are appended, never changed")


@event.listens_for(Session, "do_orm_execute")
def _refuse_bulk_change(state: ORMExecuteState) -> None:
    changes = state.is_update or state.is_delete
    if changes and state.bind_mapper is not None and state.bind_mapper.class_ is LedgerLine:
        _refuse_change()


class EventOutcome(StrEnum):
    """What became of a provider's event."""

    WAITING = "waiting"
    SETTLED = "settled"
    IGNORED = "ignored"  # of nothing that was bought here


class ProviderEvent(Model):
    """What a provider has told; kept encrypted, and for longer than the provider may repeat it."""

    __tablename__ = "billing_events"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("ix_billing_events_received_at_id", "received_at", "id"),
        Index("ix_billing_events_outcome_received_at", "outcome", "received_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    provider: Mapped[str] = mapped_column(String(32))
    event_id: Mapped[str]
    kind: Mapped[str]  # in the provider's words, such as ``invoice.paid``
    payload: Mapped[str] = mapped_column(Text)  # encrypted
    outcome: Mapped[EventOutcome] = mapped_column(checked_enum(EventOutcome), default=EventOutcome.WAITING)
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.id", ondelete="SET NULL"), index=True)
    received_at: Mapped[datetime] = mapped_column(default=utc_now)
    handled_at: Mapped[datetime | None]


class TestCheckout(Model):
    """What the built-in provider knows of an order: its side of the counter."""

    __test__ = False  # no test, though its name begins so
    __tablename__ = "test_checkouts"

    reference: Mapped[str] = mapped_column(String(64), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), unique=True)
    state: Mapped[dict[str, Any]] = mapped_column(JsonValue)  # of service/providers/test
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __mapper_args__ = {"version_id_col": version}
