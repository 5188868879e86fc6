"""Delivery status notifications (RFC 3464): which letter came back, and whether for good.

Anybody can send one. It is believed only if it names a letter by its Message-ID, whose random bits
nobody knows but who was sent the letter, and the servers between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from uuid import UUID

from devforge_api.core.db import db
from devforge_api.core.mail import suppression
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.suppression import SuppressionReason
from devforge_api.core.mail.transport import is_unknown

LARGEST = 1024 * 1024  # bytes of a report that are read
_ID = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^<>\s]+>")
_STATUS = re.compile(r"\s*([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report says.

    :param letters: the ids that it may mean, the likeliest first.
    :param unknown: there is no such address, it says, and will not be.
    :param told: the server's words.
    """

    letters: tuple[UUID, ...]
    unknown: bool
    told: str


def read(raw: bytes) -> Bounce | None:
    """What a message reports; None: it is no delivery status notification."""
    message = message_from_bytes(raw[:LARGEST])
    groups = [group for part in _parts(message, "message/delivery-status") for group in _groups(part)]
    recipients = [group for group in groups if "Final-Recipient" in group]
    if not recipients:
        return None
    for group in recipients:
        status = _STATUS.match(str(group.get("Status", "")))
        failed = str(group.get("Action", "")).strip().casefold() == "failed"
        if failed and status is not None and is_unknown(status[1]):
            told = str(group.get("Diagnostic-Code") or status[1])
            return Bounce(tuple(_letters(message)), unknown=True, told=" ".join(told.split()))
    return Bounce(tuple(_letters(message)), unknown=False, told="")


def take(bounce: Bounce) -> Mail | None:
    """Put the address of the letter on the suppression list, if the report says that it does not exist.

    :returns: the letter that the report means; None: none of ours.
    """
    for letter_id in bounce.letters:
        mail = db.session.get(Mail, letter_id)
        if mail is not None:
            if bounce.unknown and mail.recipient:
                suppression.suppress(mail.recipient, SuppressionReason.BOUNCED, bounce.told)
            return mail
    return None


def _parts(message: Message, *types: str) -> Iterator[Message]:
    return (part for part in message.walk() if part.get_content_type() in types)


def _groups(part: Message) -> Iterator[Message]:
    """The fields of the whole message, and then of each recipient."""
    payload = part.get_payload()
    return (
        (group for group in payload if isinstance(group, Message)) if isinstance(payload, list) else iter(())
    )


def _letters(message: Message) -> Iterator[UUID]:
    """The Message-ID of the letter that is returned, or of the one that this answers."""
    for part in _parts(message, "message/rfc822", "message/global"):
        payload = part.get_payload()
        for returned in payload if isinstance(payload, list) else ():
            if isinstance(returned, Message):
                yield from _ids(returned.get("Message-ID"))
    for part in _parts(message, "text/rfc822-headers", "message/global-headers"):
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield from _ids(message_from_bytes(content).get("Message-ID"))
    yield from _ids(message.get("In-Reply-To"))
    yield from _ids(message.get("References"))


def _ids(header: object) -> Iterator[UUID]:
    return (UUID(found) for found in _ID.findall(str(header or "")))
