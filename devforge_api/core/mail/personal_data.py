"""Letters as part of what is known of a person: to whom and which; what they said is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from devforge_api.core.mail.outgoing import Mail, forget_recipient
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    # The letters' parameters hold links with secrets.
    yield "mails", rows(Mail, Mail.recipient == subject.email, without=frozenset({"params", "counted_as"}))


def _erase(subject: Subject) -> Iterator[Erased]:
    yield run("mails", "anonymized", forget_recipient(subject.email))


MAIL_DATA = PersonalData("mail", frozenset({"mails"}), _export, _erase)
