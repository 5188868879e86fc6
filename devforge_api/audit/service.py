"""Appending to the audit trail, from any domain, in the deed's own transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, update

from devforge_api.audit.models import ActorKind, AuditEvent
from devforge_api.core.clock import rfc3339
from devforge_api.core.context import occasion
from devforge_api.core.db import db
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run

SECRET_FIELDS = frozenset({"password_hash", "key_hash", "encrypted_key"})
# Whose values stay when their subject is erased: they tell what the team did, not who it was to.
LASTING_FIELDS = frozenset(
    {"role", "status", "email_verified", "method", "terms_version", "scopes", "enabled", "expires_at"}
)
ERASED = "(erased)"
_EVENTS: Any = AuditEvent.__table__


def record(
    action: str,
    *,
    target_type: str,
    target_id: UUID | None,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    actor_id: UUID | None = None,
) -> None:
    """Append an event.

    :param action: ``resource.verb_in_past``, such as ``license.suspended``.
    :param changes: field → (before, after); of secret fields only the name is kept.
    :param actor_id: where the actor is not the signed-in caller, as when signing in.
    """
    now = occasion()
    actor = actor_id or (now.principal.user_id if now.principal else None)
    if actor is not None:
        kind = ActorKind.USER
    else:
        kind = {"request": ActorKind.ANONYMOUS, "cli": ActorKind.CLI}.get(now.kind, ActorKind.JOB)
    db.session.add(
        AuditEvent(
            actor_kind=kind,
            actor_id=actor,
            token_id=now.principal.token_id if now.principal else None,
            action=action,
            target_type=target_type,
            target_id=target_id,
            request_id=now.request_id,
            address=now.address,
            user_agent=now.user_agent,
            changes=shown(changes or {}),
        )
    )


def forget_origins(target_ids: Sequence[UUID]) -> int:
    """Forget from where deeds upon these resources were done anonymously. Returns how many.

    The one change that events see, with `_erase`: their subject's data are erased.
    """
    anonymous = and_(_EVENTS.c.target_id.in_(target_ids), _EVENTS.c.actor_id.is_(None))
    return _forget_where(anonymous)


def _erase(subject: Subject) -> Iterator[Erased]:
    """Deeds stay with their ids; where they were done from, and what was written, does not."""
    own = _EVENTS.c.actor_id == subject.user_id
    about = _EVENTS.c.target_id == subject.user_id
    origins = _forget_where(or_(own, and_(about, _EVENTS.c.actor_id.is_(None))))
    # In pages: an old account has many.
    spoken = rows(AuditEvent, or_(about, and_(own, _EVENTS.c.action.startswith("auth."))))
    values = 0
    for row in spoken:
        changes = {
            field: pair if field in LASTING_FIELDS else [ERASED, ERASED]
            for field, pair in row["changes"].items()
        }
        if changes != row["changes"]:
            statement = update(_EVENTS).where(_EVENTS.c.id == row["id"]).values(changes=changes)
            values += run("audit_events", "anonymized", statement).rows
    yield Erased("audit_events", "anonymized", max(origins, values))


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    own = AuditEvent.actor_id == subject.user_id
    by_others = and_(AuditEvent.target_id == subject.user_id, AuditEvent.actor_id.is_not(None), ~own)
    anonymous = and_(AuditEvent.target_id == subject.user_id, AuditEvent.actor_id.is_(None))
    yield "events", rows(AuditEvent, or_(own, anonymous))
    # Where somebody else was, is theirs to know.
    yield "events_by_others", rows(AuditEvent, by_others, without=frozenset({"address", "user_agent"}))


def _forget_where(condition: ColumnElement[bool]) -> int:
    # By the table: the mapped class refuses every change.
    known = or_(_EVENTS.c.address.is_not(None), _EVENTS.c.user_agent.is_not(None))
    statement = update(_EVENTS).where(condition, known).values(address=None, user_agent=None)
    return run("audit_events", "anonymized", statement).rows


AUDIT_DATA = PersonalData("audit", frozenset({"audit_events"}), _export, _erase)


def apply(row: Any, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Set attributes and tell which of them changed, as `record` takes it."""
    changes = {}
    for field, after in values.items():
        before = getattr(row, field)
        if before != after:
            setattr(row, field, after)
            changes[field] = (before, after)
    return changes


def shown(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    """Changes as they are kept: JSON values, and of secret fields only the name."""
    return {field: _pair(field, pair) for field, pair in changes.items()}


def _pair(field: str, pair: tuple[Any, Any]) -> list[Any]:
    return ["(secret)", "(secret)"] if field in SECRET_FIELDS else [_plain(value) for value in pair]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value) if isinstance(value, UUID) else value
