"""Licensing's reads, by topic."""

from devforge_api.licenses.queries.entitlements import entitlement_ids, own_entitlements, own_entitlements_of
from devforge_api.licenses.queries.facts import Facts, Seat, facts_of, find_facts, find_seats
from devforge_api.licenses.queries.files import components, oldest_machines, product_code
from devforge_api.licenses.queries.ledger import LEDGER, ledger
from devforge_api.licenses.queries.lists import (
    ENTITLEMENTS,
    LICENSE_USERS,
    LICENSES,
    MACHINES,
    POLICIES,
    PRODUCTS,
    find_license_user,
    find_machine,
    find_policy_id,
    get_license,
    get_license_user,
    get_machine,
    get_readable_license,
    license_users,
    licenses,
    lock_licenses,
    machines,
)
from devforge_api.licenses.queries.news import owners_after, release_story, story
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
    newest_version,
    plan_metadata,
    published_at,
)
from devforge_api.licenses.queries.seats import (
    has_components,
    is_seated,
    least_recently_seen,
    machines_due,
    policies_with_heartbeat,
)
from devforge_api.licenses.queries.terms import LIMITS, Terms

__all__ = [
    "ENTITLEMENTS", "LEDGER", "LICENSES", "LICENSE_USERS", "LIMITS", "MACHINES", "POLICIES", "PRODUCTS",
    "Facts", "Seat", "Terms", "components", "entitlement_ids", "entries_after", "facts_of", "find_facts",
    "find_license_user", "find_machine", "find_policy_id", "find_seats", "get_license",
    "get_license_user", "get_machine", "get_readable_license", "has_components", "is_seated",
    "last_sequence", "least_recently_seen", "ledger", "license_users", "licenses", "listed",
    "lock_licenses", "machines", "machines_due", "may_use", "most_matching_components", "newest_version",
    "oldest_machines", "own_entitlements", "own_entitlements_of", "owned_by", "owners_after",
    "plan_metadata", "policies_with_heartbeat", "product_code", "published_at", "release_story",
    "standings", "story",
]  # fmt: skip
