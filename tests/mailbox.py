"""The letters that the application has sent: read from its folder, as a person reads a mailbox."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import select

from devforge_api.auth.models import OneTimeToken
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.worker import drain


@dataclass(frozen=True)
class Letter:
    """One letter, taken apart."""

    message: EmailMessage

    @property
    def to(self) -> str:
        return str(self.message["To"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return _content(self.message, "plain")

    @property
    def html(self) -> str:
        return _content(self.message, "html")

    @property
    def link(self) -> str:
        (found,) = re.findall(r"^https?://\S+#\S+$", self.text, re.MULTILINE)
        return str(found)

    @property
    def token(self) -> str:
        return urlsplit(self.link).fragment.removeprefix("token=")


def _content(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def parse(raw: bytes) -> Letter:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return Letter(message)


class Mailbox:
    """Everybody's letters."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.folder = app.config["DATA_DIR"] / "mail"
        self.empty()

    def empty(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def letters(self, to: str | None = None) -> list[Letter]:
        """Those of one address or of all, the oldest first; delivers what is due before."""
        with self.app.app_context():
            drain()
        files = sorted(self.folder.glob("*.eml")) if self.folder.exists() else []
        found = [parse(path.read_bytes()) for path in files]
        return [letter for letter in found if to is None or letter.to == to]

    def subjects(self, to: str | None = None) -> list[str]:
        return [letter.subject for letter in self.letters(to)]

    def last(self, to: str) -> Letter:
        return self.letters(to)[-1]

    def let_pass(self, time: timedelta) -> None:
        """Make everything that was written older, as if time had passed; lifetimes stay."""
        with self.app.app_context(), unit_of_work():
            for mail in db.session.scalars(select(Mail)):
                mail.created_at -= time
            for token in db.session.scalars(select(OneTimeToken)):
                token.created_at -= time
