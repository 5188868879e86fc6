"""``flask files``: looking, looking through once more, and what nobody needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core.cli import command_line, json_option, progress_bar, show_rows
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.errors import DomainError
from devforge_api.core.scanner import scanner
from devforge_api.core.storage.configured import storage
from devforge_api.files import queries
from devforge_api.files.models import File, FileStatus
from devforge_api.files.service import orphans as orphaned
from devforge_api.files.service import rescan

files_cli = AppGroup("files", help="Uploaded files: states, scans, and contents that nobody needs.")


def _row(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "status": file.status.value,
        "reason": file.reason,
        "purpose": file.purpose.value,
        "media_type": file.media_type,
        "size": file.size,
        "user_id": file.user_id,
        "created_at": file.created_at,
    }


@files_cli.command("list")
@click.option("--status", type=click.Choice([status.value for status in FileStatus]))
@click.option("--user", "user_id", type=click.UUID, help="Id of the owner.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@command_line
def list_files(status: str | None, user_id: UUID | None, limit: int, as_json: bool) -> None:
    """List files, newest first; names are their users' own and are left out."""
    statement = select(File).order_by(File.created_at.desc(), File.id.desc()).limit(limit)
    if status:
        statement = statement.where(File.status == FileStatus(status))
    if user_id:
        statement = statement.where(File.user_id == user_id)
    show_rows((_row(file) for file in db.session.scalars(statement)), as_json=as_json)


@files_cli.command("show")
@click.argument("file_id", metavar="FILE", type=click.UUID)
@json_option
@command_line
def show(file_id: UUID, as_json: bool) -> None:
    """Show one file, with its name and where it is kept."""
    file = queries.get_file(file_id, owner_id=None)
    row = _row(file) | {
        "name": file.name,
        "sha256": file.sha256,
        "counted_size": file.counted_size,
        "width": file.width,
        "height": file.height,
        "storage_key": file.storage_key,
        "variants": ", ".join(f"{one.name} {one.storage_key}" for one in file.variants),
        "due_at": file.due_at,
        "attempts": file.attempts,
    }
    if as_json:
        show_rows([row], as_json=True)
        return
    show_rows(
        [{"what": name.replace("_", " "), "value": value} for name, value in row.items()], as_json=False
    )


@files_cli.command("scan")
@click.argument("file_ids", metavar="[FILE]...", type=click.UUID, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every file that can be had.")
@click.option("--quarantined", is_flag=True, help="Those in which something was found.")
@json_option
@click.pass_context
@command_line
def scan(
    context: click.Context, file_ids: tuple[UUID, ...], everything: bool, quarantined: bool, as_json: bool
) -> None:
    """Look through files once more, as after the scanner has learnt something new.

    What is found harmful is quarantined; what is no longer found so goes its way. Exits with 1 if
    something was found, or could not be looked through.
    """
    clamd = scanner()
    if clamd is None:
        raise click.ClickException("Nothing scans files here: set DEVFORGE_FILE_SCANNER.")
    wanted = [*file_ids, *_ids(FileStatus.AVAILABLE, everything), *_ids(FileStatus.QUARANTINED, quarantined)]
    if not wanted:
        raise click.UsageError("Name files, or say --all or --quarantined.")
    rows: list[dict[str, Any]] = []
    with progress_bar("Looking", len(wanted)) as advance:
        for file_id in wanted:
            try:
                found, change = rescan.scan_again(file_id, clamd)
                if change is not None:
                    with unit_of_work():
                        change()
            except DomainError as error:
                found = f"could not be looked through: {error}"
            rows.append({"id": file_id, "found": found})
            advance(1)
    show_rows([row for row in rows if row["found"] != "clean"] if not as_json else rows, as_json=as_json)
    bad = sum(row["found"] not in {"clean", "released", "unfinished"} for row in rows)
    click.echo(f"{len(rows)} files looked through, {bad} of them bad.", err=as_json)
    context.exit(1 if bad else 0)


def _ids(status: FileStatus, wanted: bool) -> Iterable[UUID]:
    if not wanted:
        return []
    return db.session.scalars(select(File.id).where(File.status == status).order_by(File.id)).all()


@files_cli.command("orphans")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
@command_line
def orphans(dry_run: bool, as_json: bool) -> None:
    """Remove contents that no row names and that are older than a day; done daily by itself."""
    found: list[dict[str, Any]] = []
    for page in _pages():
        if not dry_run:
            storage().delete([str(row["key"]) for row in page])
        found += page
    if not dry_run:
        storage().tidy(orphaned.too_young_since())
    show_rows(found, as_json=as_json)
    deed = "would be removed" if dry_run else "removed"
    click.echo(f"{len(found)} contents of {sum(row['size'] for row in found)} bytes {deed}.", err=as_json)


def _pages() -> Iterator[list[dict[str, Any]]]:
    after: str | None = ""
    while after is not None:
        page, after = orphaned.page_of(after)
        yield [{"key": one.key, "size": one.size, "at": one.at} for one in page]
