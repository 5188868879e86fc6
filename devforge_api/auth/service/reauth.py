"""Proving once more who one is, before what a stolen token must not be enough for."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.models import Session
from devforge_api.auth.service import mfa
from devforge_api.auth.service.sign_in import Proof, still_proven
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected
from devforge_api.core.errors import TokenRevoked
from devforge_api.core.security import StepUp
from devforge_api.users import service as users

LASTS = timedelta(minutes=10)


def is_proven(session_id: UUID, step_up: StepUp) -> bool:
    """Whether the session's user has proven within ten minutes, in this way, who they are; one query."""
    proven_at = queries.proven_at(session_id, signing_in_counts=step_up is StepUp.LATELY)
    return proven_at is not None and utc_now() - proven_at < LASTS


def by_password(proof: Proof, *, session_id: UUID) -> None:
    """Mark a session for a password that was proven just now.

    :raises ProofOutdated: the password's hash was replaced in this moment.
    :raises TokenRevoked: the session ended in this moment.
    """
    user = still_proven(proof)
    if proof.better_hash:
        users.set_password(user, proof.better_hash)
    _mark(session_id, user.id)


def by_code(user_id: UUID, code: str, *, session_id: UUID) -> bool:
    """Mark a session of an account without password for a code of its authenticator app.

    :returns: False for a wrong code; the caller commits, so that it counts, then refuses.
    :raises TokenRevoked: the session ended in this moment.
    """
    user = users.get_user(user_id, for_update=True)
    if user.password_hash is not None or not mfa.use_totp(user.id, code):
        mfa.note_wrong_code(user.id)
        return False
    _mark(session_id, user.id)
    return True


def _mark(session_id: UUID, user_id: UUID) -> None:
    mark = (
        update(Session)
        .where(Session.id == session_id, Session.user_id == user_id, Session.revoked_at.is_(None))
        .values(reauthenticated_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    if affected(mark) != 1:
        raise TokenRevoked
    audit.record("auth.reauthenticated", target_type="user", target_id=user_id)
