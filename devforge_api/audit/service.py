"""Appending to the audit trail, from any domain, in the deed's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from devforge_api.audit.models import ActorKind, AuditEvent
from devforge_api.core.clock import rfc3339
from devforge_api.core.context import occasion
from devforge_api.core.db import db

SECRET_FIELDS = frozenset({"password_hash", "key_hash", "encrypted_key"})


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
            changes={field: _pair(field, pair) for field, pair in (changes or {}).items()},
        )
    )


def apply(row: Any, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Set attributes and tell which of them changed, as `record` takes it."""
    changes = {}
    for field, after in values.items():
        before = getattr(row, field)
        if before != after:
            setattr(row, field, after)
            changes[field] = (before, after)
    return changes


def _pair(field: str, pair: tuple[Any, Any]) -> list[Any]:
    return ["(secret)", "(secret)"] if field in SECRET_FIELDS else [_plain(value) for value in pair]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value) if isinstance(value, UUID) else value
