"""What can be read of the audit trail."""

from __future__ import annotations

from sqlalchemy import Select, select

from devforge_api.audit.models import AuditEvent
from devforge_api.core.listing import Listing

EVENTS = Listing(
    "AuditEventQuery",
    key=AuditEvent.id,
    filters={
        "action": AuditEvent.action,
        "actor_id": AuditEvent.actor_id,
        "target_type": AuditEvent.target_type,
        "target_id": AuditEvent.target_id,
        "request_id": AuditEvent.request_id,
        "created_at": AuditEvent.created_at,
    },
    sorts={"created_at": AuditEvent.created_at},
)


def events() -> Select[AuditEvent]:
    """The whole trail."""
    return select(AuditEvent)
