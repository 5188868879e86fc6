"""What each role may do. A route names the scope that it needs; a role lists its scopes."""

from __future__ import annotations

from devforge_api.users.service import Role

# What concerns the ways into the account itself: for its owner in person, never for a tool's token.
PERSONAL = frozenset({"security:read", "security:write", "sessions:read", "sessions:write"})
_OWN = PERSONAL | {
    "profile:read", "profile:write", "licenses:read", "licenses:manage", "machines:write",
    "license_users:write", "trials:write", "billing:read", "billing:manage", "files:read", "files:write",
    "notifications:read", "notifications:write", "realtime:read", "webhooks:read", "webhooks:write",
}  # fmt: skip
_STAFF = _OWN | {
    "users:read", "products:read", "releases:read", "licenses:read_all", "billing:read_all", "billing:refund",
}  # fmt: skip

ROLE_SCOPES: dict[Role, frozenset[str]] = {
    Role.USER: _OWN,
    Role.DEVELOPER: _OWN,
    Role.SUPPORT: _STAFF,
    Role.ADMIN: _STAFF
    | {
        "users:write",
        "products:write",
        "releases:write",
        "licenses:write",
        "billing:write",
        "audit:read",
        "webhooks:everybody",
    },
}
