"""Licence and machine files for owners: facts under our signature, for machines without a network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from devforge_api.core.errors import ValidationFailed
from devforge_api.licenses import queries
from devforge_api.licenses.errors import LicenseNotFound
from devforge_api.licenses.models import License, Machine
from devforge_api.licenses.queries import Facts
from devforge_api.licenses.service.certificates import Certificate, Kind, certify, secret_of
from devforge_api.licenses.service.leases import license_data, machine_data, meta_of, until
from devforge_api.licenses.service.validation import STANDING, Scope, insist_on

# A file of a licence that says so would only be refused by its reader. What depends on who asks,
# and for what, is for the reader to see.
REFUSED = STANDING | {"HEARTBEAT_DEAD"}
MACHINES_AT_MOST = 1_000  # in a file

File = tuple[Certificate, dict[str, Any]]  # and the file's meta


def license_file(
    license_: License, *, now: datetime, ttl: timedelta, encrypt: bool, include: Collection[str]
) -> File:
    """A licence as it is now, for whichever machine has the file.

    :param ttl: how long it holds, if the licence does.
    :param encrypt: under the licence's key.
    :param include: of ``machines``, ``policy``.
    :raises VerdictRefused: the licence by itself is not valid.
    :raises ValidationFailed: more machines than a file holds.
    """
    facts = _holding_facts(license_, (), now)
    included = []
    if "machines" in include:
        included += [_shown(facts, machine) for machine in _machines(license_.id)]
    if "policy" in include:
        included.append(_policy_data(facts))
    secret = secret_of(license_.key) if encrypt else None
    return _file(Kind.LICENSE, facts, ttl, license_data(facts), included, secret)


def machine_file(
    license_: License,
    machine_id: UUID,
    *,
    now: datetime,
    ttl: timedelta,
    encrypt: bool,
    include: Collection[str],
) -> File:
    """A licence as it is now, for one of its machines.

    :param encrypt: under the licence's key and the machine's fingerprint.
    :param include: of ``components``, ``policy``; the licence always is.
    :raises MachineNotFound: not a machine of this licence.
    :raises VerdictRefused: the licence is not valid there, or the machine's heartbeat has stopped.
    """
    machine = queries.get_machine(license_.id, machine_id)
    facts = _holding_facts(license_, (machine.fingerprint,), now)
    included = [license_data(facts)]
    if "components" in include:
        included += [
            {"type": "component", "name": name, "fingerprint": fingerprint}
            for name, fingerprint in queries.components(machine.id)
        ]
    if "policy" in include:
        included.append(_policy_data(facts))
    secret = secret_of(license_.key, machine.fingerprint) if encrypt else None
    return _file(Kind.MACHINE, facts, ttl, _shown(facts, machine), included, secret)


def _holding_facts(license_: License, fingerprints: Sequence[str], now: datetime) -> Facts:
    facts = queries.find_facts(license_.key_hash, fingerprints, now=now)
    if facts is None:  # removed in this moment
        raise LicenseNotFound
    insist_on(facts, REFUSED, Scope(fingerprints=tuple(fingerprints) or None))
    return facts


def _file(
    kind: Kind,
    facts: Facts,
    ttl: timedelta,
    data: dict[str, Any],
    included: list[dict[str, Any]],
    secret: str | None,
) -> File:
    meta = meta_of(facts.at, until(facts, facts.at + ttl))
    return certify(kind, {"meta": meta, "data": data, "included": included}, secret=secret), meta


def _machines(license_id: UUID) -> Sequence[Machine]:
    found = queries.oldest_machines(license_id, MACHINES_AT_MOST + 1)
    if len(found) > MACHINES_AT_MOST:
        raise ValidationFailed.of("include", "There are more machines than a file holds.", "TOO_MANY")
    return found


def _shown(facts: Facts, machine: Machine) -> dict[str, Any]:
    known = machine_data(facts, machine.id, machine.fingerprint)
    return known | {"name": machine.name, "platform": machine.platform}


def _policy_data(facts: Facts) -> dict[str, Any]:
    terms = facts.terms
    return {
        "type": "policy",
        "id": terms.policy_id,
        "name": terms.tier,
        "floating": terms.floating,
        "strict": terms.strict,
        "overage": terms.overage,
        "expiry_strategy": terms.expiry_strategy,
        "check_in_days": terms.check_in_days,
        "require_heartbeat": terms.require_heartbeat,
        "heartbeat_seconds": terms.heartbeat_seconds,
        "lease_seconds": terms.lease_seconds,
        "offline_grace_seconds": terms.offline_grace_seconds,
        "trial": terms.trial,
    }
