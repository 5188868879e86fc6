"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.facts import Facts, Seat, facts_of, find_facts
from devforge_api.licenses.queries.ledger import LEDGER, ledger
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
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LEDGER", "LICENSES", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS", "Facts",
    "Seat", "Terms", "facts_of", "find_facts", "find_machine", "get_license", "get_machine", "ledger",
    "licenses", "machines", "may_use", "most_matching_components", "published_at",
]  # fmt: skip
