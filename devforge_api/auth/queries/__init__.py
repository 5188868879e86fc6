"""Auth's reads, by topic."""

from devforge_api.auth.queries.factors import (
    NEW_SECRETS,
    failed_codes,
    find_factor,
    has_second_factor,
    second_factor,
)
from devforge_api.auth.queries.history import ACCOUNT_ACTIONS, ACTIVITY, activity
from devforge_api.auth.queries.identity import IDENTITIES, find_identity, get_identity, identities
from devforge_api.auth.queries.native import find_authorization_code, find_device_grant, find_pending_grant
from devforge_api.auth.queries.sessions import (
    SESSIONS,
    BrowserSession,
    find_admitting,
    find_browser_session,
    find_session,
    get_session,
    live_sessions,
    proven_at,
)
from devforge_api.auth.queries.tokens import (
    ACCESS_TOKENS,
    SERVICE_ACCOUNTS,
    TokenInUse,
    access_tokens,
    count_live_tokens,
    count_service_accounts,
    find_token,
    get_access_token,
    get_service_account,
    service_accounts,
)

__all__ = [
    "ACCESS_TOKENS",
    "ACCOUNT_ACTIONS",
    "ACTIVITY",
    "IDENTITIES",
    "NEW_SECRETS",
    "SERVICE_ACCOUNTS",
    "SESSIONS",
    "BrowserSession",
    "TokenInUse",
    "access_tokens",
    "activity",
    "count_live_tokens",
    "count_service_accounts",
    "failed_codes",
    "find_admitting",
    "find_authorization_code",
    "find_browser_session",
    "find_device_grant",
    "find_factor",
    "find_identity",
    "find_pending_grant",
    "find_session",
    "find_token",
    "get_access_token",
    "get_identity",
    "get_service_account",
    "get_session",
    "has_second_factor",
    "identities",
    "live_sessions",
    "proven_at",
    "second_factor",
    "service_accounts",
]
