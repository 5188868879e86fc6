"""What is said to apps that cannot ask: for how long a licence holds, and what follows then.

A *lease* is a machine file that tells its reader, under our signature, what an unreachable server
means; its counter only grows, so that neither an older lease nor a clock that was set back passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devforge_api.core.clock import rfc3339
from devforge_api.licenses.models import ExpiryStrategy
from devforge_api.licenses.queries import Facts, Seat
from devforge_api.licenses.service.certificates import Kind, certify, secret_of

# What the app does with its lease, by the outcome of asking; an answer of another kind is obeyed.
KEEP, OBEY = "keep", "obey"
OUTCOMES = {"unreachable": KEEP, "too_many_requests": KEEP, "server_error": KEEP, "refused": OBEY}


@dataclass(frozen=True, slots=True)
class Lease:
    """A machine's right to go on without asking. ``expires_at``: without what is granted beyond."""

    file: str
    expires_at: datetime
    counter: int


def lease(facts: Facts, seat: Seat, *, key: str, counter: int) -> Lease:
    """A lease for a machine whose licence is valid, encrypted under key and fingerprint.

    Costs one signature and no statement.

    :param key: with which the app has asked; a replaced one opens what it is given.
    :param counter: greater than that of every lease which the machine had before.
    :raises Unavailable: there is no signing key yet.
    """
    terms = facts.terms
    expires_at = until(facts, facts.at + timedelta(seconds=terms.lease_seconds))
    grace_until = until(facts, expires_at + timedelta(seconds=terms.offline_grace_seconds))
    meta = meta_of(facts.at, expires_at) | {
        "counter": counter,
        "failure_policy": {
            "grace_seconds": int((grace_until - expires_at).total_seconds()),
            "grace_until": rfc3339(grace_until),
            **OUTCOMES,
        },
    }
    machine = machine_data(facts, seat.machine_id, seat.fingerprint)
    document = {"meta": meta, "data": machine, "included": [license_data(facts)]}
    certificate = certify(Kind.MACHINE, document, secret=secret_of(key, seat.fingerprint))
    return Lease(certificate.text, expires_at, counter)


def until(facts: Facts, wanted: datetime) -> datetime:
    """A moment, but no later than the licence by itself stops to be valid."""
    ends = [wanted]
    outlives = facts.terms.expiry_strategy in {ExpiryStrategy.MAINTAIN, ExpiryStrategy.ALLOW}
    if facts.expires_at is not None and not outlives:
        ends.append(facts.expires_at)
    if facts.check_in_due_at is not None:
        ends.append(facts.check_in_due_at)
    if facts.key_valid_until is not None:  # the app asked with a key that was replaced
        ends.append(facts.key_valid_until)
    return min(ends)


def meta_of(issued: datetime, expires_at: datetime) -> dict[str, Any]:
    """What every file says of itself; ``issued`` is the server's time."""
    ttl = int((expires_at - issued).total_seconds())
    return {"issued": rfc3339(issued), "expiry": rfc3339(expires_at), "ttl": ttl}


def license_data(facts: Facts) -> dict[str, Any]:
    """A licence as files tell of it."""
    terms = facts.terms
    held = facts.entitlements
    ending = {code: rfc3339(end) for code, end in facts.own_entitlements if end is not None and code in held}
    return {
        "type": "license",
        "id": facts.license_id,
        "status": facts.status,
        "tier": terms.tier,
        "product_id": terms.product_id,
        "product": terms.product_code,
        "policy_id": terms.policy_id,
        "user_id": facts.user_id,
        "expires_at": _moment(facts.expires_at),
        "expiry_strategy": terms.expiry_strategy,
        "check_in_due_at": _moment(facts.check_in_due_at),
        **{f"max_{name}": facts.limit(name) for name in terms.limits},
        "entitlements": held,
        "entitlements_until": {code: end for code, end in ending.items() if code not in terms.entitlements},
        "metadata": facts.metadata,
    }


def machine_data(facts: Facts, machine_id: UUID, fingerprint: str) -> dict[str, Any]:
    """A machine as files tell of it."""
    return {
        "type": "machine",
        "id": machine_id,
        "license_id": facts.license_id,
        "fingerprint": fingerprint,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
