"""``flask doctor``: what is wrong with this installation, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from config import SettingsError
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.ops.doctor import (
    billing,
    clocks,
    database,
    encrypted,
    files,
    mail,
    parts,
    providers,
    webhooks,
)
from devforge_api.ops.doctor.report import Examination, Finding, Health, examine


@click.command("doctor")
@json_option
@with_appcontext
@command_line
def doctor(as_json: bool) -> None:
    """Look at every part and say what to do; exit code 1 if one has failed."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    sys.exit(_report(examine(app, _examinations(app)), as_json=as_json))


def report_refused(error: Exception, arguments: Sequence[str]) -> None:
    """Where there is no application at all: report that, and end, if `flask doctor` was asked for.

    :param arguments: the command line, since no command has been found yet.
    """
    if "doctor" not in arguments:
        return
    if isinstance(error, SettingsError):
        finding = Finding("settings", Health.FAILED, str(error), "correct it, then ask again")
    else:  # its own words may hold a part of an address, and so of a password
        finding = Finding(
            "settings",
            Health.FAILED,
            f"the application cannot be made: {type(error).__name__}",
            "check the addresses among the settings; in them, special characters are percent-encoded",
        )
    sys.exit(_report([finding], as_json="--json" in arguments))


def _examinations(app: Flask) -> dict[str, Examination]:
    """Every examination that this configuration has a use for, in the order of the report."""
    redis_url, broker_url = app.config["REDIS_URL"], app.config["CELERY_BROKER_URL"]
    found: dict[str, Examination | None] = {
        "settings": parts.settings,
        "database": database.database,
        "migrations": database.migrations,
        "redis": partial(parts.redis, redis_url) if redis_url else None,
        "broker": partial(parts.broker, broker_url) if broker_url else None,
        "storage": parts.storage,
        "clock of the database": clocks.clock_of_database,
        "clock of redis": partial(clocks.clock_of_redis, redis_url) if redis_url else None,
        "keys": encrypted.signing_keys,
        "secrets": encrypted.secrets,
        "mail": mail.mail,
        "billing": billing.billing,
        "webhooks": webhooks.webhooks,
        "files": files.files,
        "realtime": partial(parts.realtime, app.config["REALTIME_URL"]),
        "jobs": parts.jobs,
        "maintenance": parts.maintenance_mode,
        **{
            f"sign-in by {name}": partial(providers.provider, one)
            for name, one in app.extensions["devforge-providers"].items()
        },
    }
    return {part: examination for part, examination in found.items() if examination}


def _report(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Print them. Returns the exit code."""
    findings = list(findings)
    rows = (
        {"part": one.part, "state": one.health.value, "seen": one.seen, "advice": one.advice}
        for one in findings
    )
    show_rows(rows, as_json=as_json)
    return int(any(one.health is Health.FAILED for one in findings))
