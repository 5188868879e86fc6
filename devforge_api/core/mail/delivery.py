"""Sending what was decided: outside of any transaction, at least once, with one Message-ID."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import Policy, default
from email.utils import format_datetime, parseaddr
from functools import partial
from typing import Any
from uuid import UUID

from flask import current_app

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, release_connection
from devforge_api.core.encryption import decrypt
from devforge_api.core.mail import suppression
from devforge_api.core.mail.addresses import wire_address
from devforge_api.core.mail.letters import Rendered, render
from devforge_api.core.mail.outgoing import EVENT, Mail
from devforge_api.core.mail.suppression import SuppressionReason
from devforge_api.core.mail.transport import Folder, NoSuchRecipient, transport
from devforge_api.core.outbox import Undeliverable, on


class _Whole(UnstructuredHeader):
    """A header whose one address must stay as it is: the library would fold a long one by encoding it."""

    def fold(self, *, policy: Policy) -> str:
        """The header on one line, which may have 998 characters (RFC 5322 section 2.1.1)."""
        header: Any = self  # the registry makes it one
        return f"{header.name}: {header}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)  # type: ignore[arg-type] # as the library's own are
_POLICY = default.clone(header_factory=_HEADERS)


@on(EVENT, outside=True)
def deliver(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Send a letter; what it returns notes that, and forgets what stood in it.

    Nothing is sent to whose address is on the suppression list, or is put there by the server's answer.
    """
    mail = db.session.get(Mail, UUID(payload["mail_id"]))
    if mail is None or mail.sent_at is not None or mail.suppressed_at is not None or not mail.recipient:
        return None  # its recipient was erased, or it was sent and only the note was lost
    if suppression.is_suppressed(mail.recipient):
        return partial(_note_suppressed, mail.id)
    params = json.loads(decrypt(mail.params)) if mail.params else {}
    release_connection()
    try:
        send_now(
            mail.id,
            to=mail.recipient,
            letter=mail.letter,
            locale=mail.locale,
            at=mail.created_at,
            params=params,
        )
    except NoSuchRecipient as error:
        return partial(_note_suppressed, mail.id, bounced=str(error))
    return partial(_note_sent, mail.id)


def _note_sent(mail_id: UUID) -> None:
    mail = db.session.get(Mail, mail_id, with_for_update=True)
    if mail is not None:
        mail.sent_at, mail.params = utc_now(), None


def _note_suppressed(mail_id: UUID, bounced: str | None = None) -> None:
    mail = db.session.get(Mail, mail_id, with_for_update=True)
    if mail is None:
        return
    if mail.recipient and bounced is not None:
        suppression.suppress(mail.recipient, SuppressionReason.BOUNCED, bounced)
    elif mail.recipient:
        suppression.keep_listed(mail.recipient)
    mail.suppressed_at, mail.params = utc_now(), None


def send_now(
    mail_id: UUID, *, to: str, letter: str, locale: str | None, at: datetime, params: dict[str, Any]
) -> None:
    """Render a letter and hand it over, before this returns.

    :param mail_id: makes the Message-ID, so that a receiver knows a repetition.
    :raises NoSuchRecipient: there is no such address.
    :raises Undeliverable: refused for good, or an address that no server takes.
    :raises NotNow: try again later.
    """
    config = current_app.config
    rendered = render(letter, locale=locale, sender=config["PUBLIC_URL"], params=params)
    try:
        recipient = wire_address(to)
    except ValueError as error:
        raise Undeliverable(f"this address cannot be written to: {error}") from None
    name, sender = parseaddr(config["MAIL_FROM"])
    way = transport()
    # For people who open the file in an editor: no link is broken up.
    encoding = "8bit" if isinstance(way, Folder) else "quoted-printable"
    message = compose(
        rendered,
        mail_id=mail_id,
        sender=(name, sender),
        recipient=recipient,
        at=at,
        encoding=encoding,
        unsubscribe=params.get("unsubscribe"),
    )
    way.send(message, sender=sender, recipient=recipient)


def compose(
    rendered: Rendered,
    *,
    mail_id: UUID,
    sender: tuple[str, str],
    recipient: str,
    at: datetime,
    encoding: str = "quoted-printable",
    unsubscribe: str | None = None,
) -> EmailMessage:
    """The letter as a message of two parts (RFC 2046 section 5.1.4), the better one last.

    The library refuses line breaks in headers; nothing is put together by hand.

    :param unsubscribe: an address at which a POST ends such letters, without another question.
    """
    name, address = sender
    message = EmailMessage(_POLICY)
    message["Subject"] = rendered.subject
    message["From"] = Address(display_name=name, addr_spec=address)
    message["To"] = _addressee(recipient)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{mail_id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note comes back
    if unsubscribe is not None:  # RFC 2369 and RFC 8058: the reader's mail program shows a button
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(rendered.text, cte=encoding)
    message.add_alternative(rendered.html, subtype="html", cte=encoding)
    message["Content-Language"] = rendered.language  # here: adding a part moves such headers into the first
    return message


def _addressee(recipient: str) -> Address:
    local, _, domain = recipient.rpartition("@")
    try:
        return Address(addr_spec=recipient)
    except Exception:  # noqa: BLE001 - the parser's own errors are of several kinds
        return Address(username=local.strip('"'), domain=domain)
