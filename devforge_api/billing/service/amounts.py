"""Amounts as people read them."""

from __future__ import annotations

from devforge_api.billing.models.currencies import NO_DECIMALS, THREE_DECIMALS


def decimals(currency: str) -> int:
    """How many digits of an amount in minor units stand behind the point."""
    if currency in NO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def shown(amount: int, currency: str) -> str:
    """An amount in minor units, such as ``59.00 USD``."""
    digits = decimals(currency)
    whole, rest = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}} {currency}" if digits else f"{sign}{whole} {currency}"
