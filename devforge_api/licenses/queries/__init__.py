"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.entitlements import entitlement_ids, own_entitlements, own_entitlements_of
from devforge_api.licenses.queries.facts import Facts, Seat, find_facts, find_seats
from devforge_api.licenses.queries.lists import (
    ENTITLEMENTS,
    LICENSE_USERS,
    LICENSES,
    MACHINES,
    POLICIES,
    PRODUCTS,
    find_license_user,
    find_machine,
    get_license,
    get_license_user,
    get_machine,
    get_readable_license,
    license_users,
    licenses,
    machines,
)
from devforge_api.licenses.queries.scope import (
    least_recently_seen,
    may_use,
    most_matching_components,
    newest_version,
    plan_metadata,
    published_at,
)
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LICENSES", "LICENSE_USERS", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS", "Facts",
    "Seat", "Terms", "entitlement_ids", "find_facts", "find_license_user", "find_machine", "find_seats",
    "get_license", "get_license_user", "get_machine", "get_readable_license", "least_recently_seen",
    "license_users", "licenses", "machines", "may_use", "most_matching_components", "newest_version",
    "own_entitlements", "own_entitlements_of", "plan_metadata", "published_at",
]  # fmt: skip
