"""The identity providers of this installation, which keep what they have published for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask, current_app

from devforge_api.auth.errors import ProviderNotFound

if TYPE_CHECKING:
    from devforge_api.auth.service.providers import Provider


def init_app(app: Flask) -> None:
    """Prepare every configured provider; nothing is fetched yet.

    Their client, some 6 MB, is imported only where there is one.
    """
    found = app.extensions["devforge-providers"] = {}
    if settings := app.config["IDENTITY_PROVIDERS"]:
        from devforge_api.auth.service.providers import provider  # noqa: PLC0415

        found |= {name: provider(one) for name, one in settings.items()}


def configured() -> Mapping[str, Provider]:
    """Every provider by its name."""
    found: Mapping[str, Provider] = current_app.extensions["devforge-providers"]
    return found


def find_provider(name: str) -> Provider:
    """One provider.

    :raises ProviderNotFound: not configured here.
    """
    found = configured().get(name)
    if found is None:
        raise ProviderNotFound
    return found
