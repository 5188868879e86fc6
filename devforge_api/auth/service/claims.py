"""An account turns out to belong to the owner of an address that nobody had verified.

Whoever made it may have been anybody, in the hope that the owner confirms it one day: the ways in
that they prepared end in the transaction of the proof.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import delete

from devforge_api.auth.models import (
    DeviceGrant,
    Identity,
    PersonalAccessToken,
    ServiceAccount,
)
from devforge_api.core.db import db


def end_prepared_ways(user_id: UUID, *, but: UUID | None = None) -> None:
    """Remove tools' tokens, service accounts, waiting devices and identities.

    Password, sessions and one-time tokens are the caller's to end.

    :param user_id: locked in this transaction.
    :param but: the identity by which the owner has come.
    """
    others = (
        Identity.user_id == user_id if but is None else (Identity.user_id == user_id) & (Identity.id != but)
    )
    _run(
        delete(PersonalAccessToken).where(PersonalAccessToken.user_id == user_id),
        delete(ServiceAccount).where(ServiceAccount.owner_id == user_id),
        delete(DeviceGrant).where(DeviceGrant.user_id == user_id),
        delete(Identity).where(others),
    )


def _run(*statements: Any) -> None:
    for statement in statements:
        db.session.execute(statement, execution_options={"synchronize_session": False})
