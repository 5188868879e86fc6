"""The words in which a policy states its terms."""

from __future__ import annotations

from enum import StrEnum


class Overage(StrEnum):
    """How far a limit may be exceeded: within it, a licence says so and stays valid."""

    NONE = "none"
    QUARTER = "1.25x"
    HALF = "1.5x"
    DOUBLE = "2x"
    ALWAYS = "always"


class ExpiryStrategy(StrEnum):
    """What an expired licence still does.

    ``restrict``: nothing but tell so, last of all checks; ``revoke``: the same, first of all;
    ``maintain``: valid for releases of before the expiry; ``allow``: valid for all.
    """

    RESTRICT = "restrict"
    REVOKE = "revoke"
    MAINTAIN = "maintain"
    ALLOW = "allow"


class ExpiryBasis(StrEnum):
    """When a licence's duration begins."""

    CREATION = "from_creation"
    FIRST_VALIDATION = "from_first_validation"
    FIRST_ACTIVATION = "from_first_activation"


class RenewalBasis(StrEnum):
    """What a renewal is counted from."""

    EXPIRY = "from_expiry"
    NOW = "from_now"
    NOW_IF_EXPIRED = "from_now_if_expired"


class TransferStrategy(StrEnum):
    """What becomes of the expiry when a licence moves to this policy."""

    KEEP_EXPIRY = "keep_expiry"
    RESET_EXPIRY = "reset_expiry"


class HeartbeatBasis(StrEnum):
    """When a machine's first heartbeat window begins."""

    CREATION = "from_creation"
    FIRST_PING = "from_first_ping"


class CullStrategy(StrEnum):
    """What becomes of a machine whose heartbeat stopped: its seat is freed, or kept, dead."""

    DEACTIVATE = "deactivate"
    KEEP = "keep"


class Uniqueness(StrEnum):
    """Within what a fingerprint may hold one seat only."""

    LICENSE = "license"
    POLICY = "policy"
    PRODUCT = "product"
    EVERYWHERE = "everywhere"


class Matching(StrEnum):
    """How many of the fingerprints in question must match."""

    ANY = "any"
    TWO = "two"
    MOST = "most"  # at least half
    ALL = "all"


class KeyScheme(StrEnum):
    """``random``: 130 bits; ``signed``: readable offline, with our signature."""

    RANDOM = "random"
    SIGNED = "signed"


class ScopeName(StrEnum):
    """What a policy may insist on being asked about."""

    PRODUCT = "product"
    POLICY = "policy"
    USER = "user"
    FINGERPRINT = "fingerprint"
    COMPONENTS = "components"
    VERSION = "version"
