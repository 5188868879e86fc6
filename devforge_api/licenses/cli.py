"""``flask licenses``: the team's hands on licences."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import click
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import Policy, Product
from devforge_api.licenses.schemas.licenses import LicenseCreateSchema
from devforge_api.licenses.service import lifecycle

licenses_cli = AppGroup("licenses", help="Licences.")


@licenses_cli.command("issue")
@click.option("--policy", "policy_name", required=True, help="Its id, or PRODUCT_CODE/NAME.")
@click.option("--email", help="Of the owner; the licence waits for a verified account.")
@click.option("--user", "user_id", type=click.UUID, help="Id of the owner.")
@click.option("--expires", type=click.DateTime(), help="In UTC; default: by the policy's duration.")
@json_option
@command_line
def issue(
    policy_name: str, email: str | None, user_id: UUID | None, expires: datetime | None, as_json: bool
) -> None:
    """Issue a licence and show its key."""
    with unit_of_work():
        license_ = lifecycle.issue(
            policy_id=_policy_id(policy_name),
            now=utc_now(),
            email=_checked_email(email),
            user_id=user_id,
            expires_at=expires.replace(tzinfo=UTC) if expires else None,
        )
    row = {
        "id": license_.id,
        "key": license_.key,
        "tier": license_.policy.name,
        "owner": license_.user_id or (f"waits for {email}" if email else None),
        "expires_at": license_.expires_at,
    }
    show_rows([row], as_json=as_json)


def _checked_email(email: str | None) -> str | None:
    loaded: dict[str, str | None] = LicenseCreateSchema(only=("email",)).load({"email": email})
    return loaded["email"]


def _policy_id(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        code, _, policy = name.partition("/")
    found = db.session.scalars(
        select(Policy.id)
        .join(Product, Product.id == Policy.product_id)
        .where(Product.code == code, Policy.name == policy)
    ).all()
    if len(found) != 1:
        raise click.ClickException(
            f"{len(found)} policies are called {name}; give PRODUCT_CODE/NAME or an id."
        )
    return found[0]
