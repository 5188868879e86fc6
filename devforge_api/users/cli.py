"""``flask users``: the team's hands on accounts."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.passwords import check_new_password, hash_password
from devforge_api.users import service
from devforge_api.users.models import Role, User, UserStatus
from devforge_api.users.schemas import UserCreateSchema

users_cli = AppGroup("users", help="Accounts.")


class RoleName(click.ParamType[Role]):
    """A role by its name; another word is refused like anything else: one line, exit code 1."""

    name = "[" + "|".join(Role) + "]"

    def convert(self, value: str | Role, param: click.Parameter | None, ctx: click.Context | None) -> Role:
        """The role."""
        try:
            return Role(value)
        except ValueError:
            raise click.ClickException(f"{value} is not a role; choose from {', '.join(Role)}.") from None


def _by_email(email: str) -> User:
    found = service.find_by_email(email)
    if found is None:
        raise click.ClickException(f"Nobody has the address {email}.")
    return service.get_user_beside_admins(found.id)


@users_cli.command("create")
@click.argument("email")
@click.option("--role", type=RoleName(), default=Role.USER, show_default=True)
@click.option("--name", help="As it is shown.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--unverified", is_flag=True, help="Do not vouch for the address.")
@command_line
def create(email: str, role: Role, name: str | None, password_stdin: bool, unverified: bool) -> None:
    """Make a user and print the id. Without a password the user cannot sign in by one."""
    given = UserCreateSchema(only=("email", "name")).load({"email": email, "name": name})
    password_hash = None
    if password_stdin:
        password = sys.stdin.read().rstrip("\r\n")
        check_new_password(password, email=given["email"])
        password_hash = hash_password(password)
    with unit_of_work():
        user = service.create_user(
            **given, password_hash=password_hash, role=role, email_verified=not unverified
        )
    click.echo(user.id)


@users_cli.command("promote")
@click.argument("email")
@click.option("--role", type=RoleName(), default=Role.ADMIN, show_default=True)
@command_line
def promote(email: str, role: Role) -> None:
    """Give a user a role; tokens with the old one stop working at once."""
    with unit_of_work():
        user = service.update_user(_by_email(email), {"role": role})
    click.echo(f"{user.email} is {user.role.value} now.")


@users_cli.command("disable")
@click.argument("email")
@command_line
def disable(email: str) -> None:
    """Ban a user: sessions end, licences answer BANNED."""
    with unit_of_work():
        service.update_user(_by_email(email), {"status": UserStatus.DISABLED})
    click.echo(f"{email} is disabled.")


@users_cli.command("enable")
@click.argument("email")
@command_line
def enable(email: str) -> None:
    """Lift a ban."""
    with unit_of_work():
        service.update_user(_by_email(email), {"status": UserStatus.ACTIVE})
    click.echo(f"{email} is active.")


@users_cli.command("verify")
@click.argument("email")
@command_line
def verify(email: str) -> None:
    """Vouch for a user's address."""
    with unit_of_work():
        service.verify_email(_by_email(email))
    click.echo(f"{email} is verified.")


@users_cli.command("list")
@click.option("--role", type=RoleName())
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@command_line
def list_users(role: Role | None, limit: int, as_json: bool) -> None:
    """List users, newest first."""
    statement = select(User).order_by(User.created_at.desc(), User.id.desc()).limit(limit)
    if role:
        statement = statement.where(User.role == role)
    rows = (
        {
            "id": user.id,
            "email": user.email,
            "role": user.role.value,
            "status": user.status.value,
            "verified": user.email_verified,
            "last_login": user.last_login,
        }
        for user in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)
