"""``flask settings``: what is set."""

from __future__ import annotations

from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from config.settings import SETTINGS
from devforge_api.core.cli import json_option, show_rows


@click.command("settings")
@json_option
@with_appcontext
def settings(as_json: bool) -> None:
    """List every setting with its present value; secrets are not shown."""
    rows = (
        {
            "setting": setting.variable,
            "value": _shown(setting.secret, current_app.config[setting.key]),
            "meaning": setting.help,
        }
        for setting in SETTINGS
    )
    show_rows(rows, as_json=as_json)


def _shown(secret: bool, value: Any) -> str:
    if secret:
        return "(set)" if value else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
