"""Why a licence answers as it does: every check that is not passed, and what helps.

For people who sit before an app, and for the app that guides them: nothing here decides anything.
It tells what belongs to the key that was asked about, and no fingerprint: whoever knows one can
pass for that machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from devforge_api.licenses.models import Action
from devforge_api.licenses.queries import Facts, least_recently_seen, newest_version, plan_metadata
from devforge_api.licenses.service.limits import limit_of
from devforge_api.licenses.service.validation import (
    Check,
    Scope,
    Verdict,
    covered_until,
    failing_checks,
    find_known,
    is_expired,
    is_lost,
    judge,
)

Remedy = dict[str, Any]  # an action, its detail, and what is needed for it: `RemedySchema`


@dataclass(frozen=True, slots=True)
class Explained:
    """A check that is not passed. ``tolerated``: the licence is valid nevertheless."""

    code: str
    tolerated: bool
    detail: str
    remedy: Remedy


def explain(key: str, scope: Scope, *, now: datetime) -> tuple[Verdict, list[Explained]]:
    """The verdict on a key, and every failing check in the order that decides it.

    One statement more for a list of machines, a link or a version, where a remedy holds one.
    """
    facts = find_known(key, scope, now=now)
    if facts is None:
        unknown = Check("NOT_FOUND")
        return Verdict(False, unknown.code), [_explained(unknown, _FIXED[unknown.code])]
    checks = list(failing_checks(facts, scope))
    return judge(facts, checks), [_explained(check, _remedy(check.code, facts, scope)) for check in checks]


def _explained(check: Check, remedy: Remedy) -> Explained:
    return Explained(check.code, check.valid, check.detail, remedy)


def _of(action: Action, detail: str, **facts: Any) -> Remedy:
    given = {name: value for name, value in facts.items() if value is not None}
    return {"action": action, "detail": detail, **given}


def _remedy(code: str, facts: Facts, scope: Scope) -> Remedy:
    if code in _FIXED:
        return _FIXED[code]
    if code in _WORKED_OUT:
        return _WORKED_OUT[code](facts, scope)
    name, _, lack = code.partition("_SCOPE_")
    field = {"POLICY": "policy_id", "USER": "user_id"}.get(name, name.lower())
    detail = "Name at least one, or none at all." if lack == "EMPTY" else "Say what it is to be checked for."
    return _of(Action.STATE_SCOPE, detail, fields=[field])


def _renew(facts: Facts, _scope: Scope) -> Remedy:
    return _of(Action.RENEW, "Renew the licence.", url=_renewal_link(facts), expires_at=facts.expires_at)


def _renewal_link(facts: Facts) -> str | None:
    """``renewal_url`` of the policy's metadata, or else of the product's."""
    for metadata in plan_metadata(facts.policy_id):
        if isinstance(link := metadata.get("renewal_url"), str) and _leads_to_a_site(link):
            return link.replace("{license_id}", str(facts.license_id))
    return None


def _leads_to_a_site(link: str) -> bool:
    """An app may open it: no program, no file."""
    try:
        parts = urlsplit(link)
    except ValueError:  # such as half an IPv6 address
        return False
    return parts.scheme in {"https", "http"} and bool(parts.hostname) and link.isprintable()


def _check_in(facts: Facts, _scope: Scope) -> Remedy:
    return _of(Action.CHECK_IN, "Check in with this licence.", due_at=facts.check_in_due_at)


def _lacking(facts: Facts, scope: Scope) -> Remedy:
    missing = sorted(set(scope.entitlements or ()).difference(facts.entitlements))
    return _of(Action.UPGRADE, "Choose a plan that includes what is missing.", entitlements=missing)


def _activate(facts: Facts, _scope: Scope) -> Remedy:
    if limit_of(facts, "machines").admits(1):
        return _of(Action.ACTIVATE, "Activate this machine: a seat is free.")
    return _release_machine(facts, 1)


def _release_machine(facts: Facts, more: int = 0) -> Remedy:
    """:param more: seats that are wanted beside those that are taken."""
    limit = limit_of(facts, "machines")
    allowed = limit.maximum if more == 0 else limit.cap
    assert allowed is not None  # else nothing would be exceeded
    excess = limit.taken + more - allowed
    detail = f"Release {excess} of the machines; the first has not been heard of for the longest time."
    return _of(Action.RELEASE_MACHINE, detail, excess=excess, machines=least_recently_seen(facts.license_id))


def _too_many_cores(facts: Facts, _scope: Scope) -> Remedy:
    limit = limit_of(facts, "cores")
    excess = limit.taken - (limit.maximum or 0)
    detail = f"Release machines with {excess} cores together."
    return _of(Action.RELEASE_MACHINE, detail, excess=excess, machines=least_recently_seen(facts.license_id))


def _too_many_users(facts: Facts, _scope: Scope) -> Remedy:
    limit = limit_of(facts, "users")
    excess = limit.taken - (limit.maximum or 0)
    return _of(Action.REMOVE_USER, f"Take {excess} of its users off the licence.", excess=excess)


def _revive(facts: Facts, _scope: Scope) -> Remedy:
    if not any(is_lost(facts, seat) for seat in facts.seats):
        return _of(Action.PING, "Send a heartbeat: the machine may still return.")
    return _of(Action.REACTIVATE, "Deactivate the machine and activate it again.")


def _use_version(facts: Facts, _scope: Scope) -> Remedy:
    version = newest_version(facts.product_id, until=covered_until(facts))
    # Only what an expiry has cut off can be renewed.
    link = _renewal_link(facts) if is_expired(facts) else None
    if version is None:
        return _of(Action.USE_VERSION, "No published version is covered.", url=link)
    return _of(Action.USE_VERSION, f"Version {version} is the newest one covered.", version=version, url=link)


_FIXED: dict[str, Remedy] = {
    "NOT_FOUND": _of(Action.CHECK_KEY, "Compare the key with the one that you were given."),
    "PENDING": _of(Action.WAIT, "Ask again shortly: the key works once its order is fulfilled."),
    "BANNED": _of(Action.CONTACT_SUPPORT, "Ask support about the account."),
    "REVOKED": _of(Action.CONTACT_SUPPORT, "Ask support, or use another licence: this one has ended."),
    "SUSPENDED": _of(Action.CONTACT_SUPPORT, "Ask support what is open: the licence can be reinstated."),
    "PRODUCT_SCOPE_MISMATCH": _of(Action.USE_ANOTHER_KEY, "Use a key for this product."),
    "POLICY_SCOPE_MISMATCH": _of(Action.USE_ANOTHER_KEY, "Use a key of this plan."),
    "USER_SCOPE_MISMATCH": _of(Action.ADD_USER, "Let the licence's owner add this user."),
    "HEARTBEAT_NOT_STARTED": _of(Action.PING, "Send the machine's first heartbeat."),
    "COMPONENTS_SCOPE_MISMATCH": _of(
        Action.REACTIVATE, "Deactivate the machine and activate it again with the parts that it has now."
    ),
}
_WORKED_OUT: dict[str, Callable[[Facts, Scope], Remedy]] = {
    "EXPIRED": _renew,
    "OVERDUE": _check_in,
    "ENTITLEMENTS_MISSING": _lacking,
    "NO_MACHINE": _activate,
    "NO_MACHINES": _activate,
    "FINGERPRINT_SCOPE_MISMATCH": _activate,
    "HEARTBEAT_DEAD": _revive,
    "VERSION_SCOPE_MISMATCH": _use_version,
    "TOO_MANY_MACHINES": lambda facts, _scope: _release_machine(facts),
    "TOO_MANY_CORES": _too_many_cores,
    "TOO_MANY_USERS": _too_many_users,
}
