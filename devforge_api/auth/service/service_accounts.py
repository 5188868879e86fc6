"""Service accounts: machines and agents that act for their owner, with fewer scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import TooManyServiceAccounts
from devforge_api.auth.models import ServiceAccount
from devforge_api.auth.service import personal_tokens
from devforge_api.auth.service.latecomers import refuse_latecomer
from devforge_api.core.db import db
from devforge_api.users import service as users

MOST_ACCOUNTS = 100  # of one user


def create(owner_id: UUID, values: Mapping[str, Any]) -> ServiceAccount:
    """Make an account without tokens.

    :param values: ``name, description, scopes, enabled``.
    :raises ValidationFailed: a scope that the owner cannot grant.
    :raises TooManyServiceAccounts: the owner has as many as may be.
    :raises TokenRevoked: see `refuse_latecomer`.
    """
    owner = users.get_user(owner_id, for_update=True)
    refuse_latecomer(owner)
    grantable = personal_tokens.grantable_scopes(owner.role)
    scopes = personal_tokens.checked_scopes(values["scopes"], grantable)
    if queries.count_service_accounts(owner_id) >= MOST_ACCOUNTS:
        raise TooManyServiceAccounts(limit=MOST_ACCOUNTS)
    account = ServiceAccount(owner_id=owner_id, **{**values, "scopes": scopes})
    db.session.add(account)
    db.session.flush()
    changes = {"name": (None, account.name), "scopes": (None, scopes)}
    _record("created", account, changes)
    return account


def get_to_edit(account_id: UUID, *, owner_id: UUID) -> ServiceAccount:
    """One of the owner's accounts, locked after its owner.

    :raises ServiceAccountNotFound: unknown, or another's.
    """
    users.get_user(owner_id, for_update=True)
    return queries.get_service_account(account_id, owner_id=owner_id, for_update=True)


def update(account: ServiceAccount, values: Mapping[str, Any]) -> ServiceAccount:
    """Change an account; fewer scopes act on its tokens at once, and disabling it ends them for good.

    :param account: by `get_to_edit`.
    :raises ValidationFailed: a scope that the owner cannot grant.
    """
    values = dict(values)
    if "scopes" in values:
        grantable = personal_tokens.grantable_scopes(users.get_user(account.owner_id).role)
        values["scopes"] = personal_tokens.checked_scopes(values["scopes"], grantable)
    changes = audit.apply(account, values)
    if changes:
        _record("updated", account, changes)
    if "enabled" in changes and not account.enabled:
        personal_tokens.revoke_all(account.owner_id, account_id=account.id)
    db.session.flush()
    return account


def delete(account: ServiceAccount) -> None:
    """Remove an account; its tokens go with it.

    :param account: by `get_to_edit`.
    """
    _record("deleted", account, {"name": (account.name, None)})
    db.session.delete(account)
    db.session.flush()


def _record(deed: str, account: ServiceAccount, changes: Mapping[str, tuple[Any, Any]]) -> None:
    action = f"auth.service_account_{deed}"
    audit.record(action, target_type="service_account", target_id=account.id, changes=changes)
