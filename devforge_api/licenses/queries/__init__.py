"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.facts import Facts, Seat, find_facts
from devforge_api.licenses.queries.files import components, oldest_machines, product_code
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
from devforge_api.licenses.queries.revocations import (
    entries_after,
    last_sequence,
    listed,
    owned_by,
    standings,
)
from devforge_api.licenses.queries.scope import (
    may_use,
    most_matching_components,
    published_at,
)
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LICENSES", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS", "Facts",
    "Seat", "Terms", "components", "entries_after", "find_facts", "find_machine", "get_license",
    "get_machine", "last_sequence", "licenses", "listed", "machines", "may_use", "most_matching_components",
    "oldest_machines", "owned_by", "product_code", "published_at", "standings",
]  # fmt: skip
