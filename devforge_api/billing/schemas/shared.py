"""What several schemas of billing have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from devforge_api.billing.models.currencies import CURRENCIES
from devforge_api.core import fields

SOME_ID: Any = {"metadata": {"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}}
SOME_MOMENT: Any = {"metadata": {"example": "2026-01-15T09:30:00Z"}}
NO_MOMENT: Any = {"allow_none": True, "metadata": {"example": None}}
CURRENCY: Any = {"metadata": {"description": "ISO 4217.", "example": "USD"}}
PROVIDER: Any = {"metadata": {"description": "Who took the money.", "example": "stripe"}}


def amount(description: str = "In minor units, such as cents.", example: int = 5900) -> fields.Int:
    """An amount of money."""
    return fields.Int(metadata={"description": description, "example": example})


def signed_amount(description: str, example: int = 5900) -> fields.Int:
    """An amount that may be below zero."""
    lowest = -fields.MAX_INTEGER
    return fields.Int(min=lowest, metadata={"description": description, "example": example})


class Currency(fields.Text):
    """A code of ISO 4217 in whatever case, kept in capitals."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": "^[A-Za-z]{3}$", "example": "USD", **kwargs.pop("metadata", {})}
        super().__init__(min=3, max=3, metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        # By ASCII: other letters may have these as their capitals.
        if not code.isascii() or code.upper() not in CURRENCIES:
            raise ValidationError("Not a currency of ISO 4217.")
        return str(code.upper())


class ReasonField(fields.Filled):
    """Why something is done, in the words of whoever does it."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "The owner can read it.", "example": "Bought twice by mistake."}
        super().__init__(max=500, metadata=metadata, **kwargs)
