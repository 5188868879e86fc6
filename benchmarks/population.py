"""What the benchmarks' databases hold: the same for Dev Forge API and for its peers.

Everything follows from a fixed seed, so that two databases filled alike give like answers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
MACHINES_MOST = 3  # no more than any tier allows, which the peers do not check
PRODUCT = "studio"
PASSWORD = "lantern orbit staple"  # noqa: S105 - of every user here; the databases are thrown away


@dataclass(frozen=True, slots=True)
class Tier:
    """What a licence of this kind includes."""

    name: str
    max_machines: int
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class License:
    """One licence and the machines that hold its seats."""

    key: str
    tier: Tier
    status: str
    expires_at: datetime
    fingerprints: tuple[str, ...]


TIERS = (
    Tier("solo", 3, ("sync",)),
    Tier("team", 5, ("ai", "sync")),
    Tier("enterprise", 10, ("ai", "audit", "sso", "sync")),
)
FEATURES = sorted({feature for tier in TIERS for feature in tier.features})


def licenses(count: int, now: datetime) -> list[License]:
    """The first licences, with two machines each on average; a tenth of them is not valid."""
    chance = random.Random(7)
    return [_license(chance, now) for _ in range(count)]


def _license(chance: random.Random, now: datetime) -> License:
    key = "-".join("".join(chance.choices(ALPHABET, k=5)) for _ in range(5))
    status = chance.choices(["active", "suspended", "revoked"], [94, 3, 3])[0]
    expires_at = now + timedelta(days=chance.randint(-20, 600))
    machines = chance.randint(1, MACHINES_MOST)
    tier = chance.choice(TIERS)
    fingerprints = tuple(f"{chance.getrandbits(256):064x}" for _ in range(machines))
    return License(key, tier, status, expires_at, fingerprints)


def pairs_of(found: list[License], most: int = 40_000) -> list[tuple[str, str]]:
    """Keys with one of their machines each, shuffled: what job V asks about."""
    pairs = [(license_.key, machine) for license_ in found for machine in license_.fingerprints]
    random.Random(8).shuffle(pairs)
    return pairs[:most]


def email_of(number: int) -> str:
    """The address of a user, counted from 0."""
    return f"user{number}@example.com"
