"""What the commands on licences share: how one is named, found, tried and shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from devforge_api.core.clock import utc_now
from devforge_api.core.db import rehearsed, unit_of_work
from devforge_api.licenses import queries
from devforge_api.licenses.errors import LicenseNotFound
from devforge_api.licenses.models import License
from devforge_api.licenses.schemas.licenses import LicenseCreateSchema
from devforge_api.licenses.service.validation import Scope, known_facts

licenses_cli = AppGroup("licenses", help="Licences. KEY_OR_ID may be - to read it from standard input.")
which_license = click.argument("which", metavar="KEY_OR_ID")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be; change nothing.")


def _bounded(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not 1 <= len(value) <= 500:
        raise click.BadParameter("from 1 to 500 characters")
    return value


reason_option = click.option("--reason", callback=_bounded, help="Why; the licence's owner can read it.")


def find(which: str) -> UUID:
    """A licence's id, by its id or by a key that opens it. :raises LicenseNotFound: neither."""
    text = sys.stdin.readline().strip() if which == "-" else which
    try:
        return known_facts(text, Scope(), now=utc_now()).license_id
    except LicenseNotFound:
        try:
            return queries.get_license(UUID(text), owner_id=None).id
        except ValueError:
            raise LicenseNotFound from None


def locked(license_id: UUID) -> License:
    """A licence, to be changed."""
    return queries.get_license(license_id, owner_id=None, for_update=True)


@contextmanager
def work(*, dry_run: bool) -> Iterator[None]:
    """A unit of work, which a dry run takes back at its end."""
    with rehearsed() if dry_run else unit_of_work():
        yield


def row_of(license_: License, **more: Any) -> dict[str, Any]:
    """A licence as a line of a table, without its key."""
    return {
        "id": license_.id,
        "product": license_.policy.product.code,
        "tier": license_.policy.name,
        "status": license_.status.value,
        "owner": license_.user_id or ("waits for an address" if license_.waiting_email_key else None),
        "expires_at": license_.expires_at,
        "machines": license_.machine_count,
        **more,
    }


def checked_email(email: str | None) -> str | None:
    """An address as the API takes it. :raises ValidationError: it does not."""
    loaded: dict[str, str | None] = LicenseCreateSchema(only=("email",)).load({"email": email})
    return loaded["email"]


def policy_id(name: str) -> UUID:
    """A policy's id, by its id or by PRODUCT_CODE/NAME.

    :raises ClickException: no policy is called so, or several are.
    """
    found = queries.find_policy_id(name)
    if found is None:
        raise click.ClickException(
            f"Not exactly one policy is called {name}; give PRODUCT_CODE/NAME or an id."
        )
    return found
