"""The tables of licensing, by topic."""

from devforge_api.licenses.models.catalogue import (
    Entitlement,
    Policy,
    PolicyEntitlement,
    Product,
    TrialUse,
    split_codes,
)
from devforge_api.licenses.models.licenses import (
    CauseKind,
    LedgerEntry,
    License,
    LicenseEntitlement,
    LicenseStatus,
    LicenseUser,
    RetiredKey,
    Revocation,
    Standing,
    UsageRequest,
)
from devforge_api.licenses.models.machines import Machine, MachineComponent
from devforge_api.licenses.models.remedies import Action
from devforge_api.licenses.models.terms import (
    CullStrategy,
    ExpiryBasis,
    ExpiryStrategy,
    HeartbeatBasis,
    KeyScheme,
    Matching,
    Overage,
    RenewalBasis,
    ScopeName,
    TransferStrategy,
    Uniqueness,
)

__all__ = [
    "Action", "CauseKind", "CullStrategy", "Entitlement", "ExpiryBasis", "ExpiryStrategy", "HeartbeatBasis",
    "KeyScheme", "LedgerEntry", "License", "LicenseEntitlement", "LicenseStatus", "LicenseUser", "Machine",
    "MachineComponent", "Matching", "Overage", "Policy", "PolicyEntitlement", "Product", "RenewalBasis",
    "RetiredKey", "Revocation", "ScopeName", "Standing", "TransferStrategy", "TrialUse", "Uniqueness",
    "UsageRequest", "split_codes",
]  # fmt: skip
