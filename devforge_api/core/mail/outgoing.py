"""The letters that the service has decided to send: written here, sent by `delivery`."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text, Update, and_, delete, func, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core import signing
from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, affected, db, uuid7
from devforge_api.core.encryption import encrypt
from devforge_api.core.mail.addresses import wire_address
from devforge_api.core.outbox import emit

EVENT = "mail.requested"
SENT_KEPT = timedelta(days=30)


class Mail(Model):
    """One letter to one address. Its id is also its Message-ID: a receiver drops a repetition."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("ix_mails_created_at", "created_at"),
        Index("ix_mails_recipient_created_at", "recipient", "created_at"),
        Index("ix_mails_counted_as_created_at", "counted_as", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recipient: Mapped[str] = mapped_column(String(800))  # empty: forgotten, and written to no more
    # However the address is spelt, and also once it is forgotten: else whoever makes and erases
    # accounts with somebody's address could have any number of letters written to them.
    counted_as: Mapped[str] = mapped_column(String(32))
    letter: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(35))
    params: Mapped[str | None] = mapped_column(Text)  # encrypted JSON, forgotten once it is sent
    sent_at: Mapped[datetime | None]
    suppressed_at: Mapped[datetime | None]  # not sent, as its address is on the suppression list
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is to be sent.

    :param letter: the template's name, such as ``verify_email``.
    :param locale: of the reader, BCP 47; the default language where there is no such letter.
    :param params: JSON values that the template shows; links and their secrets among them. With
        ``unsubscribe``, an address that ends such letters, the headers of RFC 8058 are added.
    :param mail_id: makes the Message-ID; a second letter of the same one is an error.
    """

    letter: str
    to: str
    locale: str | None
    params: Mapping[str, Any]
    mail_id: UUID = field(default_factory=uuid7)


def send(letter: str, *, to: str, locale: str | None, **params: Any) -> None:
    """Send a letter once the open unit of work has committed: see `Letter`."""
    send_all([Letter(letter, to, locale, params)])


def send_all(letters: Iterable[Letter]) -> None:
    """Send letters once the open unit of work has committed, at the cost of few statements."""
    mails = [
        Mail(
            id=letter.mail_id,
            recipient=letter.to,
            counted_as=counted_as(letter.to),
            letter=letter.letter,
            locale=letter.locale,
            params=encrypt(json.dumps(letter.params)),
        )
        for letter in letters
    ]
    db.session.add_all(mails)
    db.session.flush()
    for mail in mails:
        emit(EVENT, mail_id=str(mail.id))


def count_since(since: datetime, *, to: str, letters: tuple[str, ...]) -> int:
    """How many of these letters were written to an address since a moment, sent or not.

    In whatever case the address was written, and also to an account that is erased since.
    """
    statement = select(func.count()).where(
        Mail.counted_as == counted_as(to), Mail.created_at > since, Mail.letter.in_(letters)
    )
    return db.session.scalar(statement) or 0


def purge_sent(now: datetime) -> int:
    """Delete what was sent, suppressed or forgotten longer ago than it is kept; never what waits.

    Returns how many.
    """
    before = now - SENT_KEPT
    forgotten = and_(Mail.recipient == "", Mail.created_at < before)
    done = or_(Mail.sent_at < before, Mail.suppressed_at < before, forgotten)
    return affected(delete(Mail).where(done))


def forget_recipient(address: str) -> Update:
    """The statement by which no row names this address any more, and what waits is not sent."""
    return update(Mail).where(Mail.recipient == address).values(recipient="", params=None, locale=None)


def counted_as(address: str) -> str:
    """What letters to an address are counted under; tells nobody the address."""
    return names_of(address)[0]


def names_of(address: str) -> tuple[str, ...]:
    """What an address may be counted under: its name by each secret key, that of the present one first."""
    try:
        address = wire_address(address)  # a domain has many spellings that lead to one mailbox
    except ValueError:
        pass  # nothing is sent there
    return signing.pseudonyms("mail", unicodedata.normalize("NFC", address).casefold())
