"""``flask licenses import`` and ``export``: many licences by CSV, a batch at a time."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

import click

from devforge_api.core.cells import cell
from devforge_api.core.cli import command_line, json_option, private_file, progress_bar, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.licenses.cli.group import dry_run_option, licenses_cli, reason_option, work
from devforge_api.licenses.cli.lines import read_lines
from devforge_api.licenses.service import exporting
from devforge_api.licenses.service.importing import Import
from devforge_api.licenses.service.record import present_cause

BATCH = 500  # lines a transaction
T = TypeVar("T")


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


@contextmanager
def _opened(path: Path) -> Iterator[tuple[TextIO, int | None]]:
    """The text of a file, or of standard input for ``-``; with how many lines it has, if one can know."""
    if str(path) == "-":
        yield _text(sys.stdin.buffer), None
        return
    try:
        with path.open("rb") as raw:
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: raw.read(1 << 16), b""))
            raw.seek(0)
            yield _text(raw), lines
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error


def _text(raw: BinaryIO) -> TextIO:
    """What is no UTF-8 is told of the line that it stands in."""
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")


@licenses_cli.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--delimiter", default=",", show_default=True, help="Between cells: one character.")
@reason_option
@dry_run_option
@json_option
@click.pass_context
@command_line
def import_licenses(
    context: click.Context, file: Path, delimiter: str, reason: str | None, dry_run: bool, as_json: bool
) -> None:
    """Make licences from a CSV file, or from - for standard input.

    Columns: policy (id or PRODUCT_CODE/NAME), and as you like email or user_id, key (that the customer
    has already), reference (what your other system calls it), status, expires_at, max_machines,
    max_cores, max_users, max_uses, metadata (JSON) and metadata.NAME.

    A file can be imported again: what is there already is passed over, so after a mistake or an
    interruption correct the file and repeat. Bad lines are told with their numbers and make nothing;
    then the exit code is 1.
    """
    if len(delimiter) != 1:
        raise click.ClickException("The delimiter is one character.")
    run, made, there, bad = Import(present_cause(reason)), 0, 0, 0
    with _opened(file) as (text, lines), progress_bar("Importing", lines) as advance:
        for batch in _batches(read_lines(text, delimiter=delimiter)):
            with work(dry_run=dry_run):
                done = run.take(batch, now=utc_now())
            made, there, bad = made + done.made, there + done.there, bad + len(done.bad)
            for line in done.bad:
                click.echo(f"line {line.number}: {line.why}", err=True)
            advance(len(batch))
    show_rows(
        [{"would_be_made" if dry_run else "made": made, "there_already": there, "bad": bad}], as_json=as_json
    )
    context.exit(1 if bad else 0)


@licenses_cli.command("export")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The CSV to write."
)
@click.option("--with-keys", is_flag=True, help="Also the keys, in full.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@command_line
def export_licenses(output: Path, with_keys: bool, force: bool) -> None:
    """Write all licences into a CSV file that nobody else can read.

    `import` takes the file, also in another installation. Cells that a spreadsheet would compute
    begin with an apostrophe.
    """
    with private_file(output, replace=force) as file:
        with unit_of_work():
            total = exporting.note_export(with_keys=with_keys)
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        columns = (*exporting.COLUMNS, *(("key",) if with_keys else ()))
        writer = csv.writer(text)
        writer.writerow(columns)
        written = 0
        with progress_bar("Exporting", total) as advance:
            for row in exporting.rows(with_keys=with_keys):
                writer.writerow([cell(row[name]) for name in columns])
                written += 1
                advance(1)
        text.flush()
        text.detach()
    click.echo(f"{output} holds {written} licences.")
