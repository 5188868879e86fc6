"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.facts import Facts, Seat, find_facts, find_seats
from devforge_api.licenses.queries.lists import (
    ENTITLEMENTS,
    LICENSES,
    MACHINES,
    POLICIES,
    PRODUCTS,
    find_machine,
    get_license,
    get_machine,
    licenses,
    machines,
)
from devforge_api.licenses.queries.scope import (
    may_use,
    most_matching_components,
    newest_version,
    plan_metadata,
    published_at,
)
from devforge_api.licenses.queries.seats import least_recently_seen
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LICENSES", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS", "Facts",
    "Seat", "Terms", "find_facts", "find_machine", "find_seats", "get_license", "get_machine",
    "least_recently_seen", "licenses", "machines", "may_use", "most_matching_components", "newest_version",
    "plan_metadata", "published_at",
]  # fmt: skip
