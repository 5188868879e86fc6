"""``flask licenses list``, ``show``, ``validate``, ``machines``: looking, changing nothing."""

from __future__ import annotations

import json
from uuid import UUID

import click
from sqlalchemy.orm import joinedload

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db
from devforge_api.licenses import queries
from devforge_api.licenses.cli.group import find, licenses_cli, policy_id, row_of, which_license
from devforge_api.licenses.models import License, LicenseStatus, Machine, Policy
from devforge_api.licenses.service import validation
from devforge_api.licenses.service.validation import Scope


@licenses_cli.command("list")
@click.option("--status", type=click.Choice([status.value for status in LicenseStatus]))
@click.option("--policy", "policy_name", help="Its id, or PRODUCT_CODE/NAME.")
@click.option("--user", "user_id", type=click.UUID, help="Id of who owns or may use it.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@command_line
def list_licenses(
    status: str | None, policy_name: str | None, user_id: UUID | None, limit: int, as_json: bool
) -> None:
    """List licences, newest first."""
    statement = queries.licenses(reader_id=user_id).order_by(License.created_at.desc(), License.id.desc())
    if status:
        statement = statement.where(License.status == LicenseStatus(status))
    if policy_name:
        statement = statement.where(License.policy_id == policy_id(policy_name))
    loaded = statement.limit(limit).options(joinedload(License.policy).joinedload(Policy.product))
    show_rows(map(row_of, db.session.scalars(loaded)), as_json=as_json)


@licenses_cli.command("show")
@which_license
@click.option("--with-key", is_flag=True, help="Show the key in full.")
@json_option
@command_line
def show(which: str, with_key: bool, as_json: bool) -> None:
    """Show one licence: what it is, what it may, and how much of that is taken."""
    license_ = queries.get_license(find(which), owner_id=None)
    facts = queries.facts_of(license_, now=utc_now())
    row = row_of(
        license_,
        key=license_.key if with_key else f"…{license_.key[-6:]}",
        entitlements=", ".join(facts.entitlements) or None,
        check_in_due_at=facts.check_in_due_at,
        last_validated_at=license_.last_validated_at,
        created_at=license_.created_at,
        **{f"max_{name}": facts.limit(name) for name in queries.LIMITS},
        **{f"taken_{name}": facts.taken[name] for name in queries.LIMITS},
    )
    if as_json:
        show_rows([row], as_json=True)
        return
    show_rows(
        [{"what": name.replace("_", " "), "value": value} for name, value in row.items()], as_json=False
    )


@licenses_cli.command("validate")
@which_license
@click.option("--fingerprint", "fingerprints", multiple=True, help="Of a machine; may be repeated.")
@click.option("--product", help="Its code or id.")
@click.option("--entitlement", "entitlements", multiple=True, help="A code; may be repeated.")
@click.option("--version", help="Of a release.")
@json_option
@click.pass_context
@command_line
def validate(
    context: click.Context,
    which: str,
    fingerprints: tuple[str, ...],
    product: str | None,
    entitlements: tuple[str, ...],
    version: str | None,
    as_json: bool,
) -> None:
    """Ask for the verdict, as an app does. Exits with 1 if the licence is not valid."""
    license_ = queries.get_license(find(which), owner_id=None)
    scope = Scope(
        fingerprints=fingerprints or None, product=product, entitlements=entitlements or None, version=version
    )
    verdict = validation.validate(license_.key, scope, now=utc_now())
    if as_json:
        told = {"valid": verdict.valid, "code": verdict.code, "detail": verdict.detail}
        click.echo(json.dumps({**told, "license_id": str(license_.id), "ts": rfc3339(utc_now())}, indent=2))
    else:
        click.echo(f"{verdict.code}: {verdict.detail}")
    context.exit(0 if verdict.valid else 1)


@licenses_cli.command("machines")
@which_license
@json_option
@command_line
def machines(which: str, as_json: bool) -> None:
    """List the machines that hold a licence's seats, oldest first."""
    found = queries.machines(find(which)).order_by(Machine.created_at, Machine.id)
    rows = (
        {
            "id": machine.id,
            "fingerprint": machine.fingerprint,
            "name": machine.name,
            "platform": machine.platform,
            "cores": machine.cores,
            "last_seen_at": machine.last_seen_at,
            "created_at": machine.created_at,
        }
        for machine in db.session.scalars(found)
    )
    show_rows(rows, as_json=as_json)
