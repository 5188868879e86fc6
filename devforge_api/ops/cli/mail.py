"""``flask mail``: letters on their way, and whether the way is there."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting, occasion
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.core.mail import bounces, suppression
from devforge_api.core.mail.delivery import send_now
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.suppression import SuppressionReason
from devforge_api.core.mail.transport import NotNow
from devforge_api.core.maintenance import Maintenance
from devforge_api.core.outbox import Undeliverable

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: a mail server keeps the message, and runs the pipe again

mail_cli = AppGroup("mail", help="Letters.")


@mail_cli.command("test")
@click.argument("address")
@click.option("--locale", help="Language of the letter, such as de.")
@command_line
def test(address: str, locale: str | None) -> None:
    """Send a test letter at once, and say what happened."""
    link = {"link": current_app.config["PUBLIC_URL"]}
    try:
        send_now(uuid7(), to=address, letter="test", locale=locale, at=utc_now(), params=link)
    except (NotNow, Undeliverable) as error:
        raise click.ClickException(str(error)) from error
    where = "handed to the mail server" if current_app.config["MAIL_URL"] else "written to the folder"
    click.echo(f"The letter to {address} was {where}.")


@mail_cli.command("list")
@click.option("--unsent", is_flag=True, help="Only what still waits.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@command_line
def list_mails(unsent: bool, limit: int, as_json: bool) -> None:
    """List letters, the newest first; what they say is not shown."""
    statement = select(Mail).order_by(Mail.created_at.desc(), Mail.id.desc()).limit(limit)
    if unsent:
        statement = statement.where(Mail.sent_at.is_(None), Mail.suppressed_at.is_(None))
    rows = (
        {
            "id": mail.id,
            "letter": mail.letter,
            "recipient": mail.recipient,
            "locale": mail.locale,
            "created_at": mail.created_at,
            "sent_at": mail.sent_at,
            "suppressed_at": mail.suppressed_at,
        }
        for mail in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)


@mail_cli.command("bounce")
@command_line
def bounce() -> None:
    """Take a delivery status notification from standard input, as a mail server's pipe gives it.

    Ends with 75 (try again later) where the database is away or in maintenance, else with 0: a mail
    server would send a report about the report.
    """
    report = bounces.read(sys.stdin.buffer.read(bounces.LARGEST))
    if report is None:
        click.echo("This is no delivery status notification.")
        return
    try:
        # Run by a mail server and by nobody in person: it waits for the end of maintenance.
        with acting(Occasion(kind="job", request_id=occasion().request_id)), unit_of_work():
            letter = bounces.take(report)
    except (OperationalError, Maintenance) as error:
        click.echo(f"Not now: {error}", err=True)
        sys.exit(TRY_AGAIN)
    if letter is None:
        click.echo("This is about no letter that is known here.")
    elif not report.unknown:
        click.echo(f"Letter {letter.id} came back, but its address may exist: nothing was done.")
    else:
        click.echo(f"The address of letter {letter.id} does not exist: nothing is sent there any more.")


@mail_cli.command("suppress")
@click.argument("address")
@click.option("--reason", type=click.Choice([one.value for one in SuppressionReason]), default="manual")
@click.option("--detail", help="Why, in some words.")
@command_line
def suppress(address: str, reason: str, detail: str | None) -> None:
    """Send no letter to an address any more."""
    with unit_of_work():
        suppression.suppress(address, SuppressionReason(reason), detail)
    click.echo(f"Nothing is sent to {address} any more.")


@mail_cli.command("unsuppress")
@click.argument("address")
@command_line
def unsuppress(address: str) -> None:
    """Send letters to an address again."""
    with unit_of_work():
        found = suppression.lift(address)
    if not found:
        raise click.ClickException(f"{address} is not on the list.")
    click.echo(f"Letters are sent to {address} again.")


@mail_cli.command("suppressions")
@click.option("--address", help="Only whether this one is on the list.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@json_option
@command_line
def list_suppressions(address: str | None, limit: int, as_json: bool) -> None:
    """List addresses that get no letters, the newest first, by names that tell nobody the address."""
    found = suppression.listed(limit=limit, address=address)
    rows = (
        {
            "name": one.counted_as,
            "reason": one.reason.value,
            "detail": one.detail,
            "created_at": one.created_at,
        }
        for one in found
    )
    show_rows(rows, as_json=as_json)
