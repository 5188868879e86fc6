"""Who a bearer token is, and whether it still admits: on every request."""

from __future__ import annotations

from devforge_api.auth import queries
from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.auth.tokens import AccessClaims, read_access_token
from devforge_api.core import revocation
from devforge_api.core.context import Principal, occasion
from devforge_api.core.errors import TokenInvalid, TokenRevoked
from devforge_api.users.service import Role


def verify_access_token(token: str) -> Principal:
    """The caller that a token stands for.

    One Redis round trip, or one query where Redis is not configured, not to be trusted, or says
    no: a denial stands there before its commit, and the database tells whether that came.

    :raises TokenRefused: expired, not ours, or revoked.
    """
    claims = read_access_token(token)
    admitted = revocation.check(str(claims.session_id), str(claims.user_id), claims.token_version)
    if not admitted and not _admitted_by_database(claims):
        raise TokenRevoked
    try:
        role = Role(claims.role)
    except ValueError:
        raise TokenInvalid from None
    return Principal(claims.user_id, role, ROLE_SCOPES[role], claims.session_id)


def _admitted_by_database(claims: AccessClaims) -> bool:
    user = queries.find_admitting(claims.session_id, claims.user_id)
    # Held until the request ends: reading one's own account then costs no second query.
    occasion().read = user
    return user is not None and user.is_active and user.token_version <= claims.token_version
