"""``flask keys``: signing keys, and the master key that encrypts secrets at rest."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from rich.progress import Progress
from sqlalchemy import func, select

from devforge_api.core import keys
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypted_columns, reencrypt
from devforge_api.core.keys import KeyPurpose

keys_cli = AppGroup("keys", help="Signing keys and the master key.")
purpose_argument = click.argument("purpose", type=click.Choice([purpose.value for purpose in KeyPurpose]))


@keys_cli.command("list")
@json_option
@command_line
def list_keys(as_json: bool) -> None:
    """List signing keys, newest first."""
    rows = (
        {
            "kid": key.kid,
            "purpose": key.purpose.value,
            "state": "verifies only" if key.retired_at else "signs",
            "created_at": key.created_at,
            "retired_at": key.retired_at,
        }
        for key in keys.signing_keys()
    )
    show_rows(rows, as_json=as_json)


@keys_cli.command("rotate")
@purpose_argument
@command_line
def rotate(purpose: str) -> None:
    """Sign with a new key within a minute; older ones go on verifying. Prints the new kid."""
    with unit_of_work():
        kid = keys.rotate(KeyPurpose(purpose))
    click.echo(kid)


@keys_cli.command("retire")
@click.argument("kid")
@click.option("--dry-run", is_flag=True, help="Only say whether it could be done.")
@command_line
def retire(kid: str, dry_run: bool) -> None:
    """Remove a key that no longer signs: what it signed is refused.

    Tokens that it signed live for up to a week: wait that long after a rotation. Licence files hold
    for as long as was asked for, and signed keys for good: remove a licensing key only once leaked.
    """
    try:
        with unit_of_work():
            keys.remove(kid)
            if dry_run:
                raise _OnlyTried
    except _OnlyTried:
        click.echo(f"{kid} could be removed.")
    else:
        click.echo(f"{kid} is removed.")


class _OnlyTried(Exception):
    """Rolls a dry run back."""


@keys_cli.command("reencrypt")
@command_line
def reencrypt_everything() -> None:
    """Bring every secret under the newest master key.

    Set DEVFORGE_MASTER_KEY to `new,old`, restart, run this, then drop the old one. Safe to repeat.
    """
    seen = 0
    with Progress() as progress:
        for column in encrypted_columns():
            total = db.session.scalar(select(func.count()).select_from(column.class_))
            bar = progress.add_task(str(column), total=total)
            try:
                for rows in reencrypt(column):
                    seen += rows
                    progress.update(bar, advance=rows)
            except ValueError as error:
                raise click.ClickException(f"{column}: {error}.") from error
            progress.update(bar, completed=total)
    click.echo(f"{seen} secrets are under the newest key.")
