"""The payment providers of this installation."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask, current_app

from devforge_api.billing.errors import BillingNotConfigured, ProviderNotFound
from devforge_api.billing.service.providers.base import Provider


def init_app(app: Flask) -> None:
    """Prepare those that are configured; the library of one that is not stays unread."""
    providers: dict[str, Provider] = {}
    if app.config["BILLING_PROVIDER"] == "test":
        from devforge_api.billing.service.providers.test import TestProvider  # noqa: PLC0415

        providers["test"] = TestProvider(app.config["PUBLIC_URL"])
    if app.config["STRIPE_SECRET_KEY"]:
        from devforge_api.billing.service.providers.stripe import StripeProvider  # noqa: PLC0415

        providers["stripe"] = StripeProvider(
            app.config["STRIPE_SECRET_KEY"],
            webhook_secrets=app.config["STRIPE_WEBHOOK_SECRETS"],
            api_base=app.config["STRIPE_API_BASE"],
        )
    app.extensions["devforge-payment-providers"] = providers


def configured() -> Mapping[str, Provider]:
    """Every provider by its name."""
    found: Mapping[str, Provider] = current_app.extensions["devforge-payment-providers"]
    return found


def find_provider(name: str) -> Provider:
    """One provider, also one that takes no new orders. :raises ProviderNotFound: not configured here."""
    found = configured().get(name)
    if found is None:
        raise ProviderNotFound
    return found


def present_provider() -> Provider:
    """The one that new orders are paid with. :raises BillingNotConfigured: there is none."""
    name: str = current_app.config["BILLING_PROVIDER"]
    if name == "none":
        raise BillingNotConfigured
    return find_provider(name)
