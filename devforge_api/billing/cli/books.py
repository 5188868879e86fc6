"""``flask billing report`` and ``ledger check``."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from devforge_api.billing.cli.group import billing_cli
from devforge_api.billing.service import checking
from devforge_api.billing.service import report as service
from devforge_api.billing.service.amounts import shown
from devforge_api.core.cells import cell
from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now

MONEY = ("gross", "refunds", "disputes", "net", "monthly_recurring_revenue")
ledger_cli = AppGroup("ledger", help="The books.")
billing_cli.add_command(ledger_cli)
_DAY = click.DateTime(["%Y-%m-%d"])


@billing_cli.command("report")
@click.option("--from", "first", type=_DAY, help="The first day in UTC; default: of this month.")
@click.option("--to", "last", type=_DAY, help="The last day, included; default: today.")
@click.option("--currency", help="Only this one.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, in minor units.")
@json_option
@command_line
def report(
    first: datetime | None, last: datetime | None, currency: str | None, as_csv: bool, as_json: bool
) -> None:
    """Show what was sold in some days: totals, products, days; amounts as the ledger has them."""
    end = last.date() if last else utc_now().date()
    begin = first.date() if first else end.replace(day=1)
    found = service.report(begin, end, currency.upper() if currency else None)
    rows = list(service.rows(found))
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(service.COLUMNS)
        writer.writerows([cell(row[name]) for name in service.COLUMNS] for row in rows)
        return
    show_rows(rows if as_json else map(_readable, rows), as_json=as_json)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    code = row["currency"]
    money = {name: shown(row[name], code) for name in MONEY if row[name] is not None}
    return row | money


@ledger_cli.command("check")
@json_option
@click.pass_context
@command_line
def check(context: click.Context, as_json: bool) -> None:
    """Check that every posting sums to zero, that every movement is posted, and that no number is missing.

    Exits with 1 if something is wrong.
    """
    wrong = list(checking.check())
    if as_json:
        show_rows(({"problem": sentence} for sentence in wrong), as_json=True)
    else:
        for sentence in wrong:
            click.echo(sentence)
        click.echo(f"{len(wrong)} problems." if wrong else "The books are in order.")
    context.exit(1 if wrong else 0)
