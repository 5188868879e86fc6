"""Letters as part of what is known of a person: to whom and which; what they said is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete

from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    # The letters' parameters hold links with secrets.
    yield "mails", rows(Mail, Mail.recipient == subject.email, without=frozenset({"params"}))


def _erase(subject: Subject) -> Iterator[Erased]:
    yield run("mails", "removed", delete(Mail).where(Mail.recipient == subject.email))


MAIL_DATA = PersonalData("mail", frozenset({"mails"}), _export, _erase)
