"""A policy's terms, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from devforge_api.licenses.models import (
    CullStrategy,
    ExpiryStrategy,
    HeartbeatBasis,
    Matching,
    Overage,
    Policy,
    ScopeName,
    Uniqueness,
)

LIMITS = ("machines", "cores", "users", "uses")


@dataclass(frozen=True, slots=True)
class Terms:
    """What verdicts read of a policy. Whatever else has to do with it reads its row."""

    policy_id: UUID
    version: int
    tier: str
    product_id: UUID
    product_code: str
    floating: bool
    strict: bool
    limits: Mapping[str, int | None]  # by `LIMITS`
    overage: Overage
    expiry_strategy: ExpiryStrategy
    require_heartbeat: bool
    heartbeat_basis: HeartbeatBasis
    fingerprint_matching: Matching
    component_matching: Matching
    required_scopes: frozenset[ScopeName]
    check_in_days: int | None
    heartbeat_seconds: int
    revival_seconds: int | None
    cull_strategy: CullStrategy
    fingerprint_uniqueness: Uniqueness
    takeover_cooldown_seconds: int | None
    trial: bool
    lease_seconds: int
    offline_grace_seconds: int
    entitlements: tuple[str, ...]  # sorted codes

    @classmethod
    def of(cls, row: Mapping[str, Any], *, product_code: str, entitlements: Sequence[str]) -> Terms:
        """From a policy's columns."""
        return cls(
            policy_id=row["id"],
            version=row["version"],
            tier=row["name"],
            product_id=row["product_id"],
            product_code=product_code,
            floating=row["floating"],
            strict=row["strict"],
            limits={name: row[f"max_{name}"] for name in LIMITS},
            overage=row["overage"],
            expiry_strategy=row["expiry_strategy"],
            require_heartbeat=row["require_heartbeat"],
            heartbeat_basis=row["heartbeat_basis"],
            fingerprint_matching=row["fingerprint_matching"],
            component_matching=row["component_matching"],
            required_scopes=frozenset(map(ScopeName, row["required_scopes"])),
            check_in_days=row["check_in_days"],
            heartbeat_seconds=row["heartbeat_seconds"],
            revival_seconds=row["revival_seconds"],
            cull_strategy=row["cull_strategy"],
            fingerprint_uniqueness=row["fingerprint_uniqueness"],
            takeover_cooldown_seconds=row["takeover_cooldown_seconds"],
            trial=row["trial"],
            lease_seconds=row["lease_seconds"],
            offline_grace_seconds=row["offline_grace_seconds"],
            entitlements=tuple(entitlements),
        )

    @classmethod
    def of_policy(cls, policy: Policy, *, product_code: str) -> Terms:
        """From a policy that is being edited."""
        row = {column.key: getattr(policy, column.key, None) for column in Policy.__table__.c}
        return cls.of(row, product_code=product_code, entitlements=policy.entitlements)
