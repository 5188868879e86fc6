"""Who a bearer token is, and whether it still admits: the core's `Authority`, on every request."""

from __future__ import annotations

from devforge_api.auth import queries
from devforge_api.auth.service import personal_tokens, reauth
from devforge_api.auth.tokens import read_access_token
from devforge_api.core.context import Principal, occasion, principal
from devforge_api.core.security import StepUp
from devforge_api.users import service as users
from devforge_api.users.service import Account, User


def read(token: str) -> Principal:
    """The caller whom a genuine access token names; it may be revoked, unless it is a tool's.

    :raises TokenRefused: expired, or not ours; a tool's also if it was revoked.
    """
    if token.startswith(personal_tokens.PREFIX):
        return personal_tokens.read(token)
    return read_access_token(token)


def confirm(caller: Principal) -> bool:
    """Whether session and user still admit the caller, by one query."""
    if caller.session_id is None:  # a tool's token: `read` has asked the database
        return True
    user = queries.find_admitting(caller.session_id, caller.user_id)
    # Held until the request ends: reading one's own account then costs no second query.
    occasion().read = user
    return user is not None and user.is_active and user.token_version <= caller.token_version


def is_proven(caller: Principal, step_up: StepUp) -> bool:
    """Whether the caller has proven in the last minutes, in this way, who they are; a tool never has."""
    return caller.session_id is not None and reauth.is_proven(caller.session_id, step_up)


def signed_in_account() -> User | Account:
    """The caller's account; read already, where the database had to confirm the token."""
    read = occasion().read
    return read if isinstance(read, User) else users.get_account(principal().user_id)
