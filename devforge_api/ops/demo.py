"""Demo data: small, believable, and with passwords of this installation's own."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from devforge_api.billing.service import prices
from devforge_api.billing.service.prices import Interval
from devforge_api.core.cli import command_line
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import Conflict
from devforge_api.core.passwords import hash_password
from devforge_api.licenses.service import catalogue, lifecycle
from devforge_api.users import service as users
from devforge_api.users.service import Role

demo_cli = AppGroup("demo", help="Demo data.")
ADMIN, CUSTOMER = "admin@demo.example", "customer@demo.example"
ENTITLEMENTS = {
    "ai-assistant": "AI assistant",
    "cloud-sync": "Cloud sync",
    "priority-support": "Priority support",
}
PLANS: tuple[dict[str, Any], ...] = (
    {"name": "free", "max_machines": 1, "floating": False, "duration_days": None, "entitlements": []},
    {
        "name": "trial",
        "max_machines": 1,
        "floating": True,
        "duration_days": 14,
        "expiry_strategy": "revoke",
        "expiry_basis": "from_first_activation",
        "trial": True,
        "entitlements": ["ai-assistant", "cloud-sync"],
    },
    {
        "name": "pro",
        "max_machines": 3,
        "floating": True,
        "duration_days": 365,
        "entitlements": ["ai-assistant", "cloud-sync"],
    },
    {
        "name": "enterprise",
        "max_machines": 100,
        "overage": "1.25x",
        "floating": True,
        "duration_days": 365,
        "entitlements": list(ENTITLEMENTS),
    },
)
# Plan, minor units, currency and interval; the price list shows them in this order.
PRICES: tuple[tuple[str, int, str, Interval], ...] = (
    ("pro", 5900, "USD", Interval.ONE_TIME),
    ("pro", 900, "USD", Interval.MONTH),
    ("pro", 9000, "USD", Interval.YEAR),
    ("pro", 900, "EUR", Interval.MONTH),
    ("pro", 9000, "EUR", Interval.YEAR),
    ("enterprise", 4900, "USD", Interval.MONTH),
    ("enterprise", 49000, "USD", Interval.YEAR),
    ("enterprise", 4900, "EUR", Interval.MONTH),
    ("enterprise", 49000, "EUR", Interval.YEAR),
)


def _file() -> Path:
    folder: Path = current_app.config["DATA_DIR"]
    return folder / "demo.json"


@demo_cli.command("seed")
@command_line
def seed_command() -> None:
    """Make the demo data, unless they are there, and print the credentials."""
    seed()
    print_credentials()


def seed() -> None:
    """Make the demo data, unless they are there already.

    The database decides whether they are: the file of credentials is written before the commit,
    so that it is right whenever the data are there, whatever is killed when.
    """
    if users.find_by_email(ADMIN) is not None:
        return
    people = [
        {"email": email, "password": secrets.token_urlsafe(12), "role": role.value}
        for email, role in ((ADMIN, Role.ADMIN), (CUSTOMER, Role.USER))
    ]
    hashes = [hash_password(person["password"]) for person in people]
    try:
        with unit_of_work():
            for person, password_hash in zip(people, hashes, strict=True):
                users.create_user(
                    person["email"],
                    password_hash=password_hash,
                    name=person["email"].partition("@")[0].capitalize(),
                    role=Role(person["role"]),
                    email_verified=True,
                )
            _write_file({"people": people, "licenses": _seed_licenses()})
    except Conflict:
        click.echo("Parts of the demo data are there already; nothing was added.")


def _write_file(demo: dict[str, Any]) -> None:
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(demo, file, indent=2)
    draft.replace(path)


def _seed_licenses() -> dict[str, str]:
    product = catalogue.create(catalogue.PRODUCT, {"name": "Dev Forge", "code": "dev-forge"})
    for code, name in ENTITLEMENTS.items():
        catalogue.create(catalogue.ENTITLEMENT, {"name": name, "code": code})
    keys, policies = {}, {}
    for plan in PLANS:
        policy = catalogue.create(catalogue.POLICY, {"product_id": product.id, **plan})
        policies[plan["name"]] = policy.id
        if not policy.trial:  # that the customer may start
            license_ = lifecycle.issue(policy_id=policy.id, email=CUSTOMER, now=utc_now())
            keys[plan["name"]] = license_.key
    for plan_name, amount, currency, interval in PRICES:
        prices.create(
            {
                "policy_id": policies[plan_name],
                "name": f"Dev Forge {plan_name.capitalize()}",
                "amount": amount,
                "currency": currency,
                "interval": interval,
            }
        )
    return keys


def print_credentials() -> None:
    """Say how to sign in to the demo."""
    if not _file().exists():
        return
    demo = json.loads(_file().read_text())
    click.echo("Demo accounts:")
    for person in demo["people"]:
        click.echo(f"  {person['role']:<10} {person['email']:<24} {person['password']}")
    click.echo("Demo licences of the customer:")
    for plan, key in demo["licenses"].items():
        click.echo(f"  {plan:<10} {key}")
