"""``flask users``: the team's hands on accounts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core import personal_data
from devforge_api.core.cli import command_line, json_option, private_file, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.passwords import check_new_password, hash_password
from devforge_api.core.personal_data import Erased
from devforge_api.users import queries, service
from devforge_api.users.models import Role, User, UserStatus
from devforge_api.users.schemas import UserCreateSchema, UserSchema

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


class StatusName(click.ParamType[UserStatus]):
    """A status by its name, likewise."""

    name = "[" + "|".join(UserStatus) + "]"

    def convert(
        self, value: str | UserStatus, param: click.Parameter | None, ctx: click.Context | None
    ) -> UserStatus:
        """The status."""
        try:
            return UserStatus(value)
        except ValueError:
            told = f"{value} is not a status; choose from {', '.join(UserStatus)}."
            raise click.ClickException(told) from None


def _found(email: str) -> User:
    found = service.find_by_email(email)
    if found is None:
        raise click.ClickException(f"Nobody has the address {email}.")
    return found


def _by_email(email: str) -> User:
    return service.get_user_beside_admins(_found(email).id)


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


@users_cli.command("unlock")
@click.argument("email")
@command_line
def unlock(email: str) -> None:
    """Let failed sign-ins of before not count any more, on every device."""
    with unit_of_work():
        service.unlock(_by_email(email))
    click.echo(f"{email} can sign in again.")


@users_cli.command("show")
@click.argument("email")
@json_option
@command_line
def show(email: str, as_json: bool) -> None:
    """Show one user, and how much of what is known of them."""
    user = _found(email)
    known = personal_data.count(service.subject_of(user))
    row = UserSchema().dump(user) | {topic: rows for topic, rows in known.items() if rows}
    if as_json:
        click.echo(json.dumps(UserSchema().dump(user) | {"known": known}, indent=2))
        return
    show_rows([{"what": what, "value": value} for what, value in row.items()], as_json=False)


@users_cli.command("export")
@click.argument("email")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The ZIP to write."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@command_line
def export(email: str, output: Path, force: bool) -> None:
    """Write everything that is kept about a user into a file that nobody else can read."""
    found = _found(email)
    with private_file(output, replace=force) as file:  # opened before anything is noted
        with unit_of_work():
            subject = service.note_export(service.get_user(found.id))
        personal_data.write_archive(subject, file)
    click.echo(f"{output} holds what is kept about {found.email}.")


class _OnlyLooked(Exception):
    """Rolls a dry run back."""


@users_cli.command("erase")
@click.argument("email")
@click.option("--dry-run", is_flag=True, help="Only tell what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@command_line
def erase(email: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete a user and all that is known of them, for good."""
    found = _found(email)
    if not dry_run and not yes:
        click.confirm(f"Erase {found.email} and everything that is kept about them?", abort=True, err=True)
    erased: list[tuple[str, Erased]] = []
    try:
        with unit_of_work():
            user = service.get_user_beside_admins(found.id)
            if dry_run:
                service.check_removable(user)
                erased = service.erase_data(user)
                raise _OnlyLooked
            erased = service.delete_user(user)
    except _OnlyLooked:
        pass
    rows = [
        {"domain": domain, "table": one.table, "deed": one.deed, "rows": one.rows} for domain, one in erased
    ]
    show_rows(rows, as_json=as_json, title=None if as_json else "Would be erased" if dry_run else "Erased")


@users_cli.command("list")
@click.option("--search", help="Part of the address or the name.")
@click.option("--role", type=RoleName())
@click.option("--status", type=StatusName())
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@command_line
def list_users(
    search: str | None, role: Role | None, status: UserStatus | None, limit: int, as_json: bool
) -> None:
    """List users, newest first."""
    statement = select(User).order_by(User.created_at.desc(), User.id.desc()).limit(limit)
    if search:
        statement = statement.where(queries.search(search))
    if role:
        statement = statement.where(User.role == role)
    if status:
        statement = statement.where(User.status == status)
    rows = (
        {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "role": user.role.value,
            "status": user.status.value,
            "verified": user.email_verified,
            "last_login": user.last_login,
        }
        for user in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)
