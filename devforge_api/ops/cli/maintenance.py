"""``flask maintenance``: read-only for a while."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click
from flask.cli import AppGroup

from devforge_api.audit import service as audit
from devforge_api.core import maintenance
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import rfc3339
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import ValidationFailed
from devforge_api.core.maintenance import MESSAGE_LENGTH, OLDEST_SECONDS, State

maintenance_cli = AppGroup("maintenance", help="Read-only for a while: writes are refused, jobs wait.")


@maintenance_cli.command("on")
@click.option("--message", help="What refused callers read; by default a general sentence.")
@click.option(
    "--retry-after",
    type=click.IntRange(1, 7 * 86_400),
    default=120,
    show_default=True,
    help="Seconds after which they are told to try again.",
)
@json_option
@command_line
def on(message: str | None, retry_after: int, as_json: bool) -> None:
    """Refuse writes; returns once every process does. Again: change the message."""
    message = (message or "").strip() or None
    if message and len(message) > MESSAGE_LENGTH:
        raise ValidationFailed.of("message", f"Use at most {MESSAGE_LENGTH} characters.")
    with unit_of_work():
        before = maintenance.begin(message, retry_after)
        after = {"active": True, "message": message, "retry_after": retry_after}
        _record("maintenance.changed" if before.active else "maintenance.begun", before, after)
    time.sleep(OLDEST_SECONDS)  # after which no process goes by what it knew before
    _show(as_json)


@maintenance_cli.command("off")
@json_option
@command_line
def off(as_json: bool) -> None:
    """Admit writes again; every process does so within two seconds."""
    with unit_of_work():
        before = maintenance.end()
        if before.active:
            _record("maintenance.ended", before, {"active": False})
    _show(as_json)


@maintenance_cli.command("status")
@json_option
@command_line
def status(as_json: bool) -> None:
    """Say whether writes are refused, since when, and how many were not finished yet."""
    _show(as_json)


def _record(action: str, before: State, after: Mapping[str, object]) -> None:
    changes = {name: (getattr(before, name), value) for name, value in after.items()}
    changed = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    audit.record(action, target_type="maintenance", target_id=None, changes=changed)


def _show(as_json: bool) -> None:
    state = maintenance.read()
    row = {
        "active": state.active,
        "since": rfc3339(state.changed_at) if state.changed_at else None,
        "message": state.message if state.active else None,
        "retry_after": state.retry_after if state.active else None,
        "open_writes": maintenance.open_writes() if state.active else None,
    }
    show_rows([row], as_json=as_json)
