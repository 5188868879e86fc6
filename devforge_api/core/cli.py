"""What the CLI's commands share: output for people and for scripts, and clear failures."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import click
from marshmallow import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import OperationalError, ProgrammingError

from devforge_api.core.clock import rfc3339
from devforge_api.core.context import Occasion, acting
from devforge_api.core.errors import DomainError

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def show_rows(rows: Iterable[Mapping[str, Any]], *, as_json: bool, title: str | None = None) -> None:
    """A table for people, or a JSON array for scripts."""
    rows = [dict(row) for row in rows]
    if as_json:
        click.echo(json.dumps(rows, default=_plain, indent=2))
        return
    if not rows:
        click.echo("None.")
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        # As text: rich takes brackets in a string for markup.
        table.add_row(*(Text("" if value is None else _plain(value)) for value in row.values()))
    # Piped output is not folded to the width of a terminal that is not there.
    Console(width=None if sys.stdout.isatty() else 1000).print(table)


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where a person looks at it; yields what moves it on.

    :param total: None: nobody knows.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(label, total=total)
        yield lambda more: progress.update(bar, advance=more)


@contextmanager
def private_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """A file to write that nobody else can read, from its first byte on.

    :raises ClickException: it is there already, or cannot be written.
    """
    try:
        # 0600 also where a file is replaced.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL), 0o600)
        os.fchmod(handle, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} is there already; --force replaces it.") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle, "wb") as file:
        yield file


def _plain(value: object) -> str:
    """As the API writes it: moments in RFC 3339 with ``Z``."""
    return rfc3339(value) if isinstance(value, datetime) else str(value)


def command_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command on an occasion of its own; refusals are one line and exit code 1."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            with acting(Occasion(kind="cli", request_id=f"cli-{uuid4().hex[:12]}")):
                return function(*args, **kwargs)
        except DomainError as error:
            raise click.ClickException(f"{error.message} ({error.code})") from error
        except ValidationError as error:
            raise click.ClickException(_told(error)) from error
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(
                f"The database cannot be used: is it there, and has `flask db upgrade` run? ({error.orig})"
            ) from error

    return run


def _told(error: ValidationError) -> str:
    """Every invalid field and why, on one line."""
    told: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return " ".join(f"{name}: {' '.join(map(str, why))}" for name, why in told.items())
