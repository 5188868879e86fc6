"""Releases, as the team's programs are told of them; a product's users hear by ``release.available``."""

from __future__ import annotations

from typing import Any

from devforge_api.core.news import Data, tells


@tells("release.published", "release.yanked")
def tell_of_release(payload: dict[str, Any]) -> tuple[list[Any], Data]:
    """The ids."""
    return [], payload
