"""How the settings of billing are read, and which of them go together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.providers import BROWSERS_OWN, is_trustworthy

LEAST_SECRET = 16  # letters; an empty or guessable secret would let anybody sign


def read_return_urls(text: str) -> tuple[str, ...]:
    """Origins such as ``https://example.com`` and schemes of apps such as ``devforge:``.

    :raises ValueError: with the reason.
    """
    return tuple(_return_url(part.strip()) for part in text.split(",") if part.strip())


def _return_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme in {"http", "https"}:
        good = re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?|\[[0-9a-f:]+\](:[0-9]{1,5})?", rest)
        if good and is_trustworthy(value):
            return value
    elif re.fullmatch(r"[a-z][a-z0-9+.-]{1,30}:", value) and value[:-1] not in {
        *BROWSERS_OWN,
        "http",
        "https",
    }:
        return value
    raise ValueError(
        f"must list origins such as https://example.com and schemes such as devforge:, not {value[:100]!r}"
    )


def read_webhook_secrets(text: str) -> tuple[str, ...]:
    """``new`` or, while a secret is rotated, ``new,old``. :raises ValueError: one of them is too short."""
    secrets = tuple(part.strip() for part in text.split(","))
    if any(len(secret) < LEAST_SECRET for secret in secrets):
        raise ValueError(f"must list secrets of at least {LEAST_SECRET} characters")
    return secrets


def problem(values: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings of billing together; None: nothing."""
    stripe = (values["STRIPE_SECRET_KEY"], values["STRIPE_WEBHOOK_SECRETS"])
    if values["BILLING_PROVIDER"] == "test" and values["REQUIRE_STRONG_SECRETS"]:
        return f"DEVFORGE_BILLING_PROVIDER=test gives licences away; it is refused in {values['ENV']}."
    if any(stripe) and not all(stripe):
        return "Set both DEVFORGE_STRIPE_SECRET_KEY and DEVFORGE_STRIPE_WEBHOOK_SECRET, or neither."
    if values["BILLING_PROVIDER"] == "stripe" and not all(stripe):
        return (
            "DEVFORGE_BILLING_PROVIDER=stripe needs DEVFORGE_STRIPE_SECRET_KEY and "
            "DEVFORGE_STRIPE_WEBHOOK_SECRET."
        )
    return None
