"""``flask auth`` and ``flask tokens``: the team's hands on ways into accounts."""

from __future__ import annotations

from uuid import UUID

import click
from flask.cli import AppGroup

from devforge_api.auth import queries
from devforge_api.auth.models import PersonalAccessToken
from devforge_api.auth.service import mfa, personal_tokens
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.users import service as users
from devforge_api.users.service import User

auth_cli = AppGroup("auth", help="Ways into accounts.")
tokens_cli = AppGroup("tokens", help="Personal access tokens.")


def _by_email(email: str) -> User:
    found = users.find_by_email(email)
    if found is None:
        raise click.ClickException(f"Nobody has the address {email}.")
    return found


@auth_cli.command("reset-mfa")
@click.argument("email")
@command_line
def reset_mfa(email: str) -> None:
    """Remove a user's second factor and recovery codes: the answer to a lost phone."""
    user_id = _by_email(email).id
    with unit_of_work():
        mfa.disable(user_id)
    click.echo(f"{email} signs in without a second factor now.")


@tokens_cli.command("list")
@click.argument("email")
@json_option
@command_line
def list_tokens(email: str, as_json: bool) -> None:
    """List a user's tokens that nobody has revoked, newest first."""
    newest_first = queries.access_tokens(_by_email(email).id).order_by(PersonalAccessToken.id.desc())
    rows = (
        {
            "id": token.id,
            "name": token.name,
            "hint": token.hint,
            "scopes": " ".join(token.scopes),
            "service_account": token.service_account_id,
            "expires": token.expires_at,
            "last_used": token.last_used_at,
        }
        for token in db.session.scalars(newest_first)
    )
    show_rows(rows, as_json=as_json)


@tokens_cli.command("revoke")
@click.argument("token_id", type=click.UUID)
@command_line
def revoke(token_id: UUID) -> None:
    """Revoke a token, whosever it is; it is refused from the next request on."""
    with unit_of_work():
        token = queries.get_access_token(token_id, user_id=None, for_update=True)
        personal_tokens.revoke(token)
    click.echo(f"{token.name} is revoked.")
