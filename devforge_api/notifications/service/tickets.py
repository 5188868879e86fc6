"""Tickets: what a browser, which can send no token, opens a stream with. Each works once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update

from devforge_api.auth.service import standing
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Principal
from devforge_api.core.db import affected, db
from devforge_api.core.encryption import fingerprint
from devforge_api.core.errors import TokenRevoked
from devforge_api.notifications.errors import TicketInvalid
from devforge_api.notifications.models import RealtimeTicket

LIFETIME = timedelta(seconds=60)
LONGEST = 100  # letters of what can be a ticket


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new ticket, which only its caller ever sees."""

    ticket: str
    expires_at: datetime


def issue(caller: Principal) -> Ticket:
    """A ticket for the caller; it works while the session or token does that asked for it."""
    ticket = Ticket(secrets.token_urlsafe(32), utc_now() + LIFETIME)
    db.session.add(
        RealtimeTicket(
            token_hash=fingerprint(ticket.ticket),
            user_id=caller.user_id,
            session_id=caller.session_id,
            token_id=caller.token_id,
            expires_at=ticket.expires_at,
        )
    )
    db.session.flush()
    return ticket


def redeem(ticket: str) -> Principal:
    """Use a ticket up: whom it admits, with their scopes of now.

    :raises TicketInvalid: unknown, used or expired.
    :raises TokenRevoked: the session or token that asked for it has ended.
    """
    row, now = RealtimeTicket, utc_now()
    known = row.token_hash == fingerprint(ticket[:LONGEST])
    use = update(row).where(known, row.used_at.is_(None), row.expires_at > now)
    use = use.values(used_at=now).execution_options(synchronize_session=False)
    if affected(use) != 1:
        raise TicketInvalid
    session_id, token_id = db.session.execute(select(row.session_id, row.token_id).where(known)).one()
    return _admitted(session_id, token_id)


def _admitted(session_id: UUID | None, token_id: UUID | None) -> Principal:
    sessions, tokens = [session_id] if session_id else [], [token_id] if token_id else []
    for principal in standing.admitted(sessions=sessions, tokens=tokens).values():
        return principal
    raise TokenRevoked


def purge_expired(now: datetime) -> int:
    """Delete tickets that are over. Returns how many."""
    return affected(delete(RealtimeTicket).where(RealtimeTicket.expires_at < now))
