"""``flask mail``: letters on their way, and whether the way is there."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import select

from devforge_api.core.cli import command_line, json_option, show_rows
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, uuid7
from devforge_api.core.mail.delivery import send_now
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.transport import NotNow
from devforge_api.core.outbox import Undeliverable

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
        statement = statement.where(Mail.sent_at.is_(None))
    rows = (
        {
            "id": mail.id,
            "letter": mail.letter,
            "recipient": mail.recipient,
            "locale": mail.locale,
            "created_at": mail.created_at,
            "sent_at": mail.sent_at,
        }
        for mail in db.session.scalars(statement)
    )
    show_rows(rows, as_json=as_json)
