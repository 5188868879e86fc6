"""What several schemas of licensing have in common."""

from __future__ import annotations

from typing import Any

from devforge_api.core import fields

SOME_ID: Any = {"metadata": {"example": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"}}
OWN_JSON: Any = {
    "load_default": dict,
    "metadata": {"description": "Your own JSON, up to 16 KiB.", "example": {"crm_id": "4711"}},
}
METADATA: Any = {**OWN_JSON, "attribute": "metadata_"}
KEY: Any = {"metadata": {"example": "DF-4T0WX-9K2PM-7HQ3Z-B6NCE-1YRVD8"}}
FINGERPRINT: Any = {
    "metadata": {
        "description": "A stable, hashed id of the machine.",
        "example": "5f2b9c0e7d41a8836a1f0c55e2d94b7c",
    }
}


class KeyField(fields.Filled):
    """A licence key as it was typed: anything that is not blank, up to 512 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max=512, required=True, **kwargs)


def masked_key(key: str) -> str:
    """Enough of a key to tell two apart."""
    return f"{key[:3]}…-{key[-6:]}"
