"""``flask releases``: for the pipeline that builds a product."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import click
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.releases import queries, service
from devforge_api.releases.models import Release, ReleaseStatus
from devforge_api.releases.schemas import ReleaseSchema, YankSchema

releases_cli = AppGroup("releases", help="Versions of products.")


def _product_id(code: str) -> UUID:
    found = queries.product_of_code(code)
    if found is None:
        raise click.ClickException(f"No product has the code {code}.")
    return found


@releases_cli.command("list")
@click.option("--product", help="Its code.")
@click.option("--status", type=click.Choice([status.value for status in ReleaseStatus]))
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@command_line
def list_releases(product: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List releases, the newest first."""
    products = queries.PRODUCTS
    statement = (
        select(Release, products.c.code)
        .join(products, products.c.id == Release.product_id)
        .order_by(Release.created_at.desc(), Release.id.desc())
        .limit(limit)
    )
    if product:
        statement = statement.where(Release.product_id == _product_id(product))
    if status:
        statement = statement.where(Release.status == ReleaseStatus(status))
    rows = [_row(release, code) for release, code in db.session.execute(statement)]
    show_rows(rows, as_json=as_json)


@releases_cli.command("publish")
@click.argument("product")
@click.argument("version")
@click.option("--at", type=click.DateTime(), help="In UTC; default: now.")
@json_option
@command_line
def publish(product: str, version: str, at: datetime | None, as_json: bool) -> None:
    """Publish VERSION of PRODUCT (its code); what was not drafted is made."""
    product_id, version = (
        _product_id(product),
        ReleaseSchema(only=("version",)).load({"version": version})["version"],
    )
    with unit_of_work():
        release = queries.find_release(product_id, version, for_update=True)
        release = release or service.draft(product_id=product_id, version=version)
        service.publish(release, at=at.replace(tzinfo=UTC) if at else utc_now())
    show_rows([_row(release, product)], as_json=as_json)


@releases_cli.command("yank")
@click.argument("product")
@click.argument("version")
@click.option("--reason", help="Shown with the release.")
@json_option
@command_line
def yank(product: str, version: str, reason: str | None, as_json: bool) -> None:
    """Withdraw VERSION of PRODUCT (its code) for good."""
    given = YankSchema().load({"reason": reason})
    product_id = _product_id(product)
    with unit_of_work():
        release = queries.find_release(product_id, version, for_update=True)
        if release is None:
            raise click.ClickException(f"{product} has no version {version}.")
        service.yank(release, **given)
    show_rows([_row(release, product)], as_json=as_json)


def _row(release: Release, product: str) -> dict[str, object]:
    return {
        "id": release.id,
        "product": product,
        "version": release.version,
        "status": release.status.value,
        "published_at": release.published_at,
        "yank_reason": release.yank_reason,
    }
