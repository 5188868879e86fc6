"""Callers who were admitted, then waited for their user's lock while that user's tokens were ended."""

from __future__ import annotations

from devforge_api.core.context import occasion
from devforge_api.core.errors import TokenRevoked
from devforge_api.users.service import User


def refuse_latecomer(user: User) -> None:
    """For deeds that add a way into an account: they would outlast a claim, a reset or a ban.

    :param user: locked in this transaction, and read with that lock.
    :raises TokenRevoked: since the caller was admitted, every token of the user's was ended.
    """
    caller = occasion().principal
    if caller is not None and caller.user_id == user.id and caller.token_version < user.token_version:
        raise TokenRevoked
