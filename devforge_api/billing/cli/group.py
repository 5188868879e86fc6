"""What the commands on billing share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click
from flask.cli import AppGroup

from devforge_api.core.clock import utc_now

billing_cli = AppGroup("billing", help="Orders, refunds, the report, and comparing with the provider.")
limit_option = click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))


def since_of(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """``7d``, ``12h`` or a day such as ``2026-01-31`` in UTC, as a moment that has passed."""
    if text is None:
        return None
    now = utc_now()
    try:
        if match := re.fullmatch(r"([0-9]{1,4})([dh])", text):
            number = int(match[1])
            return now - (timedelta(days=number) if match[2] == "d" else timedelta(hours=number))
        since = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        since = now + timedelta(days=1)
    if since > now or since.year < 1970:
        raise click.BadParameter("give days or hours such as 7d or 12h, or a day that has begun")
    return since
