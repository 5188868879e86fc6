"""Which settings of billing are accepted, and that nothing is given away by mistake."""

from __future__ import annotations

import pytest

from config import SettingsError, load
from config.billing import read_return_urls

STRIPE = {
    "DEVFORGE_STRIPE_SECRET_KEY": "rk_live_0123456789abcdef",
    "DEVFORGE_STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
}


@pytest.fixture
def production(tmp_path):
    return {
        "DEVFORGE_ENV": "production",
        "DEVFORGE_DATA_DIR": str(tmp_path),
        "DEVFORGE_DATABASE_URL": "postgresql://somewhere/devforge",
        "DEVFORGE_PUBLIC_URL": "https://api.example.com",
        "DEVFORGE_SECRET_KEY": "kX3vQ9-tW7mB2zR5yN8cL1pJ6hG4fD0sA_eUoIqY",
        "DEVFORGE_MASTER_KEY": "Zr8_uT2yE5wQ7nM4bV1cX9kL6jH3gF0dS-aPoIuY",
    }


def test_a_laptop_has_the_built_in_provider_and_production_none(tmp_path, production):
    assert load({"DEVFORGE_DATA_DIR": str(tmp_path)})["BILLING_PROVIDER"] == "test"
    assert load(production)["BILLING_PROVIDER"] == "none"


@pytest.mark.parametrize("env", ["staging", "production"])
def test_the_built_in_provider_is_refused_where_licences_are_sold(production, env):
    with pytest.raises(SettingsError, match="gives licences away"):
        load(production | {"DEVFORGE_ENV": env, "DEVFORGE_BILLING_PROVIDER": "test"})


def test_stripe_comes_with_both_of_its_secrets(production):
    stripe = {"DEVFORGE_BILLING_PROVIDER": "stripe"}
    values = load(production | stripe | STRIPE)
    assert values["STRIPE_WEBHOOK_SECRETS"] == (STRIPE["DEVFORGE_STRIPE_WEBHOOK_SECRET"],)
    with pytest.raises(SettingsError, match="stripe needs"):
        load(production | stripe)
    for name, secret in STRIPE.items():
        with pytest.raises(SettingsError, match="Set both"):
            load(production | {name: secret})


def test_former_orders_are_looked_after_when_stripe_takes_no_new_ones(production):
    assert load(production | STRIPE)["BILLING_PROVIDER"] == "none"


@pytest.mark.parametrize("text", [" ", ",", "short", "whsec_0123456789abcdef,", ",whsec_0123456789abcdef"])
def test_an_empty_or_short_webhook_secret_is_refused(production, text):
    with pytest.raises(SettingsError, match="at least 16 characters") as refused:
        load(production | STRIPE | {"DEVFORGE_STRIPE_WEBHOOK_SECRET": text})
    assert "0123456789" not in str(refused.value)


def test_two_webhook_secrets_are_good_while_one_is_rotated(production):
    both = "whsec_new_0123456789, whsec_old_0123456789"
    values = load(production | STRIPE | {"DEVFORGE_STRIPE_WEBHOOK_SECRET": both})
    assert values["STRIPE_WEBHOOK_SECRETS"] == ("whsec_new_0123456789", "whsec_old_0123456789")


def test_origins_and_schemes_of_apps_may_be_returned_to():
    text = "https://www.example.com, http://localhost:3000,devforge:,http://[::1]:80"
    assert read_return_urls(text) == (
        "https://www.example.com", "http://localhost:3000", "devforge:", "http://[::1]:80",
    )  # fmt: skip
    assert read_return_urls(" , ") == ()


@pytest.mark.parametrize(
    "text",
    [
        "http://www.example.com", "https://www.example.com/", "https://www.example.com/path", "https://",
        "https://user@example.com", "https://*.example.com", "https://EXAMPLE.com", "devforge", "devforge://",
        "javascript:", "data:", "file:", "http:", "https:", "*", "//example.com",
    ],
)  # fmt: skip
def test_what_could_lead_elsewhere_is_refused(text):
    with pytest.raises(ValueError, match="must list origins"):
        read_return_urls(text)
