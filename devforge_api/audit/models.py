"""The audit trail's one table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, checked_enum, uuid7


class ActorKind(StrEnum):
    """``user``: signed in; ``anonymous``: a public route; ``cli`` and ``job``: the operator's."""

    USER = "user"
    ANONYMOUS = "anonymous"
    CLI = "cli"
    JOB = "job"


class AuditEvent(Model):
    """One deed. Ids are plain values, not foreign keys: the trail outlives what it tells of."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_created_at_id", "created_at", "id"),
        Index("ix_audit_events_actor_id_created_at", "actor_id", "created_at", "id"),
        Index("ix_audit_events_target_id_created_at", "target_id", "created_at", "id"),
        Index("ix_audit_events_action_created_at", "action", "created_at", "id"),
        Index("ix_audit_events_target_type_created_at", "target_type", "created_at", "id"),
        Index("ix_audit_events_request_id", "request_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    actor_kind: Mapped[ActorKind] = mapped_column(checked_enum(ActorKind))
    actor_id: Mapped[UUID | None]
    token_id: Mapped[UUID | None]  # of the personal access token that the actor used
    action: Mapped[str]
    target_type: Mapped[str]
    target_id: Mapped[UUID | None]
    request_id: Mapped[str]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    # {"field": [before, after]}, JSON values, without secrets.
    changes: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)


@event.listens_for(AuditEvent, "before_update")
@event.listens_for(AuditEvent, "before_delete")
def _refuse_change(*_: object) -> None:
    raise RuntimeError("audit events are appended, never changed")


@event.listens_for(Session, "do_orm_execute")
def _refuse_bulk_change(state: ORMExecuteState) -> None:
    changes = state.is_update or state.is_delete
    if changes and state.bind_mapper is not None and state.bind_mapper.class_ is AuditEvent:
        _refuse_change()
