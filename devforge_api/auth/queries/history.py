"""What an owner sees of what happened to the account."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Select, and_, or_, select

from devforge_api.audit.models import AuditEvent
from devforge_api.core.listing import Listing

# Beside everything that auth does to an account: what its owner should recognise, or not.
ACCOUNT_ACTIONS = (
    "user.created", "user.email_verified", "user.email_changed", "user.exported", "user.terms_accepted",
    "user.unlocked",
)  # fmt: skip


ACTIVITY = Listing(
    "ActivityQuery",
    key=AuditEvent.id,
    filters={"action": AuditEvent.action, "created_at": AuditEvent.created_at},
    sorts={"created_at": AuditEvent.created_at},
)


def activity(user_id: UUID) -> Select[AuditEvent]:
    """The user's sign-ins, failed ones too, and every change of the ways into the account."""
    by_auth = AuditEvent.action.startswith("auth.", autoescape=True)
    about = and_(AuditEvent.target_id == user_id, or_(by_auth, AuditEvent.action.in_(ACCOUNT_ACTIONS)))
    of_a_part = and_(AuditEvent.actor_id == user_id, AuditEvent.target_type != "user", by_auth)  # a token's
    return select(AuditEvent).where(or_(about, of_a_part))
