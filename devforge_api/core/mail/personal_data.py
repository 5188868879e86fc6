"""Letters as part of what is known of a person: to whom and which; what they said is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import update

from devforge_api.core.mail.outgoing import Mail, forget_recipient, names_of
from devforge_api.core.mail.suppression import MailSuppression
from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    # The letters' parameters hold links with secrets.
    yield "mails", rows(Mail, Mail.recipient == subject.email, without=frozenset({"params", "counted_as"}))
    theirs = MailSuppression.counted_as.in_(names_of(subject.email))
    yield "mail_suppressions", rows(MailSuppression, theirs)


def _erase(subject: Subject) -> Iterator[Erased]:
    yield run("mails", "anonymized", forget_recipient(subject.email))
    # The name that tells nobody the address stays: else whoever makes and erases accounts with
    # somebody's address could have letters sent to who does not want any.
    theirs = MailSuppression.counted_as.in_(names_of(subject.email))
    forget = update(MailSuppression).where(theirs, MailSuppression.detail.is_not(None)).values(detail=None)
    yield run("mail_suppressions", "anonymized", forget)


MAIL_DATA = PersonalData("mail", frozenset({"mails", "mail_suppressions"}), _export, _erase)
