"""The identity providers of this installation, which keep what they have published for a while."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask, current_app

from devforge_api.auth.errors import ProviderNotFound
from devforge_api.auth.service.providers import Provider, provider


def init_app(app: Flask) -> None:
    """Prepare every configured provider; nothing is fetched yet."""
    app.extensions["devforge-providers"] = {
        name: provider(settings) for name, settings in app.config["IDENTITY_PROVIDERS"].items()
    }


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
