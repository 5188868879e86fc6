"""Who is still admitted, of many at once."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import or_, select

from devforge_api.auth.models import PersonalAccessToken, ServiceAccount, Session
from devforge_api.auth.queries.tokens import TokenInUse
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.users.models import Role, User, UserStatus


def live_sessions_of(ids: Collection[UUID]) -> list[tuple[UUID, UUID, Role, int]]:
    """Of these sessions those that admit: id, user, role and token version, by one query."""
    statement = (
        select(Session.id, User.id, User.role, User.token_version)
        .join(User, User.id == Session.user_id)
        .where(
            Session.id.in_(ids),
            Session.revoked_at.is_(None),
            Session.expires_at > utc_now(),
            User.status == UserStatus.ACTIVE,
        )
    )
    return [(id_, user_id, role, version) for id_, user_id, role, version in db.session.execute(statement)]


def live_tokens_of(ids: Collection[UUID]) -> list[TokenInUse]:
    """Of these tools' tokens those that admit, by one query."""
    token, account = PersonalAccessToken, ServiceAccount
    statement = (
        select(
            token.id, token.user_id, token.scopes, token.expires_at, token.revoked_at, token.last_used_at,
            User.role, User.status, User.token_version, account.enabled, account.scopes,
        )
        .join(User, User.id == token.user_id)
        .outerjoin(account, account.id == token.service_account_id)
        .where(
            token.id.in_(ids),
            token.revoked_at.is_(None),
            token.expires_at > utc_now(),
            User.status == UserStatus.ACTIVE,
            or_(account.id.is_(None), account.enabled),
        )
    )  # fmt: skip
    return [TokenInUse(*row) for row in db.session.execute(statement)]
