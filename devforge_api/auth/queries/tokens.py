"""What can be read about tools' tokens and service accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select

from devforge_api.auth.errors import (
    AccessTokenNotFound,
    ServiceAccountNotFound,
)
from devforge_api.auth.models import (
    PersonalAccessToken,
    ServiceAccount,
)
from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.core.statements import Prepared
from devforge_api.users.models import Role, User, UserStatus

ACCESS_TOKENS = Listing(
    "AccessTokenQuery",
    key=PersonalAccessToken.id,
    filters={
        "created_at": PersonalAccessToken.created_at,
        "expires_at": PersonalAccessToken.expires_at,
        "service_account_id": PersonalAccessToken.service_account_id,
    },
    sorts={"created_at": PersonalAccessToken.created_at},
)
SERVICE_ACCOUNTS = Listing(
    "ServiceAccountQuery",
    key=ServiceAccount.id,
    filters={"created_at": ServiceAccount.created_at},
    sorts={"created_at": ServiceAccount.created_at},
)


@dataclass(frozen=True, slots=True)
class TokenInUse:
    """What decides whether a personal access token admits, and to what."""

    id: UUID
    user_id: UUID
    scopes: list[str]
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    role: Role
    status: UserStatus
    token_version: int
    account_enabled: bool | None  # None: of no service account
    account_scopes: list[str] | None


_TOKEN = Prepared(
    select(
        PersonalAccessToken.id, PersonalAccessToken.user_id, PersonalAccessToken.scopes,
        PersonalAccessToken.expires_at, PersonalAccessToken.revoked_at, PersonalAccessToken.last_used_at,
        User.role, User.status, User.token_version, ServiceAccount.enabled,
        ServiceAccount.scopes.label("account_scopes"),
    )
    .join(User, User.id == PersonalAccessToken.user_id)
    .outerjoin(ServiceAccount, ServiceAccount.id == PersonalAccessToken.service_account_id)
    .where(PersonalAccessToken.token_hash == bindparam("token_hash")),
    TokenInUse,
)  # fmt: skip


def find_token(token_hash: str) -> TokenInUse | None:
    """A personal access token with its user and its service account, by one query."""
    return _TOKEN.first(token_hash=token_hash)


def access_tokens(user_id: UUID) -> Select[PersonalAccessToken]:
    """The user's tokens that nobody has revoked."""
    return select(PersonalAccessToken).where(
        PersonalAccessToken.user_id == user_id, PersonalAccessToken.revoked_at.is_(None)
    )


def get_access_token(
    token_id: UUID, *, user_id: UUID | None, for_update: bool = False
) -> PersonalAccessToken:
    """One token that nobody has revoked.

    :param user_id: whose it must be; None for the operator.
    :raises AccessTokenNotFound: unknown, another's, or revoked.
    """
    token = PersonalAccessToken
    statement = select(token).where(token.id == token_id, token.revoked_at.is_(None))
    if user_id is not None:
        statement = statement.where(token.user_id == user_id)
    found = db.session.scalar(statement.with_for_update() if for_update else statement)
    if found is None:
        raise AccessTokenNotFound
    return found


def count_live_tokens(user_id: UUID, now: datetime) -> int:
    """How many of the user's tokens still admit."""
    live = access_tokens(user_id).where(PersonalAccessToken.expires_at > now)
    return db.session.scalar(select(func.count()).select_from(live.subquery())) or 0


def service_accounts(owner_id: UUID) -> Select[ServiceAccount]:
    """The owner's machines and agents."""
    return select(ServiceAccount).where(ServiceAccount.owner_id == owner_id)


def count_service_accounts(owner_id: UUID) -> int:
    """How many the owner has."""
    return db.session.scalar(select(func.count()).select_from(service_accounts(owner_id).subquery())) or 0


def get_service_account(account_id: UUID, *, owner_id: UUID, for_update: bool = False) -> ServiceAccount:
    """One of the owner's machines and agents.

    :raises ServiceAccountNotFound: unknown, or another's.
    """
    statement = service_accounts(owner_id).where(ServiceAccount.id == account_id)
    found = db.session.scalar(statement.with_for_update() if for_update else statement)
    if found is None:
        raise ServiceAccountNotFound
    return found
