"""``flask outbox``: events on their way, and those that were set aside."""

from __future__ import annotations

from uuid import UUID

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from devforge_api.core import outbox_upkeep
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus

outbox_cli = AppGroup("outbox", help="Events on their way.")


@outbox_cli.command("list")
@click.option(
    "--status",
    type=click.Choice([status.value for status in OutboxStatus]),
    default="dead",
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@command_line
def list_rows(status: str, limit: int, as_json: bool) -> None:
    """List events, the oldest first; by default those set aside after too many attempts."""
    statement = (
        select(OutboxRow)
        .where(OutboxRow.status == OutboxStatus(status))
        .order_by(OutboxRow.created_at, OutboxRow.id)
        .limit(limit)
    )
    rows = (
        {
            "id": row.id,
            "event": row.name,
            "subscriber": row.subscriber,
            "attempts": row.attempts,
            "created_at": row.created_at,
            "next_attempt_at": row.next_attempt_at,
            "error": (row.error or "").strip().rpartition("\n")[2] or None,
        }
        for row in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)


@outbox_cli.command("replay")
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="Every event that was set aside.")
@command_line
def replay(ids: tuple[UUID, ...], everything: bool) -> None:
    """Try events again that were set aside, by id or all of them."""
    if bool(ids) == everything:
        raise click.UsageError("Give ids, or --all.")
    with unit_of_work():
        count = outbox_upkeep.replay(None if everything else list(ids))
    click.echo(f"{count} events are due again.")


@outbox_cli.command("purge")
@click.option("--dry-run", is_flag=True, help="Only count.")
@command_line
def purge(dry_run: bool) -> None:
    """Delete events that were delivered longer ago than they are kept; the schedule does so too."""
    if dry_run:
        old = select(func.count()).select_from(OutboxRow).where(outbox_upkeep.is_purgeable())
        click.echo(f"{db.session.scalar(old)} events would be deleted.")
        return
    with unit_of_work():
        count = outbox_upkeep.purge_delivered()
    click.echo(f"{count} events are deleted.")
