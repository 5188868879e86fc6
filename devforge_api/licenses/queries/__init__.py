"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.facts import Facts, Seat, find_facts
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
    published_at,
)
from devforge_api.licenses.queries.seats import (
    has_components,
    least_recently_seen,
    machines_due,
    policies_with_heartbeat,
)
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LICENSES", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS", "Facts",
    "Seat", "Terms", "find_facts", "find_machine", "get_license", "get_machine",
    "has_components", "least_recently_seen", "licenses", "machines", "machines_due", "may_use",
    "most_matching_components", "policies_with_heartbeat", "published_at",
]  # fmt: skip
