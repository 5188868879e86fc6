"""Where letters are kept: in a folder without a server, in the table until they are forgotten."""

import os
import stat
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.core.mail import outgoing
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.transport import transport
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from tests.mailbox import Mailbox

ADA = "ada@example.com"
LINK = {"link": "https://api.example.org/#token=a-secret-token"}


def send(app, to=ADA):
    with app.app_context(), unit_of_work():
        outgoing.send("test", to=to, locale="en", **LINK)


def mails(app):
    with app.app_context():
        return list(db.session.scalars(select(Mail).order_by(Mail.id)))


# --- the folder -----------------------------------------------------------------------------
def test_without_a_server_letters_are_files_that_only_their_owner_reads(app):
    box = Mailbox(app)
    old = os.umask(0)
    try:
        send(app)
        (letter,) = box.letters()
    finally:
        os.umask(old)
    assert letter.link == LINK["link"]
    (path,) = box.folder.iterdir()
    assert path.name == f"{mails(app)[0].id}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(box.folder.stat().st_mode) == 0o700
    assert LINK["link"].encode() in path.read_bytes()  # not broken up by an encoding
    box.empty()


def test_a_folder_that_cannot_be_written_keeps_the_letter(app, tmp_path):
    box = Mailbox(app)
    box.folder.parent.mkdir(exist_ok=True)
    box.folder.touch()
    try:
        send(app)
        assert box.folder.is_file()
        with app.app_context():
            drain()
            (waiting,) = db.session.scalars(select(OutboxRow))
        assert waiting.status is OutboxStatus.PENDING
        assert "cannot be written" in waiting.error
    finally:
        box.folder.unlink()
    with app.app_context(), unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
    assert len(box.letters()) == 1
    box.empty()


# --- afterwards -----------------------------------------------------------------------------
def test_letters_are_forgotten_a_month_after_they_were_sent_and_never_before(context):
    now = utc_now()
    with unit_of_work():
        for age, sent in ((31, True), (29, True), (400, False)):
            then = now - timedelta(days=age)
            mail = Mail(id=uuid7(), recipient=ADA, letter="test", counted_as="", created_at=then)
            mail.sent_at = then if sent else None
            db.session.add(mail)
        forgotten = {"recipient": "", "counted_as": "", "created_at": now - timedelta(days=31)}
        db.session.add(Mail(id=uuid7(), letter="test", **forgotten))
    with unit_of_work():
        assert outgoing.purge_sent(now) == 2
    assert db.session.query(Mail).count() == 2


def test_an_address_can_be_forgotten(app):
    box = Mailbox(app)
    send(app)
    box.letters()
    send(app)
    send(app, to="grace@example.com")
    with app.app_context(), unit_of_work():
        db.session.execute(outgoing.forget_recipient(ADA))
    assert sorted((mail.recipient, mail.params is None) for mail in mails(app)) == [
        ("", True),
        ("", True),
        ("grace@example.com", False),
    ]
    assert [letter.to for letter in box.letters()] == [ADA, "grace@example.com"]
    with app.app_context():
        assert {one.status for one in db.session.scalars(select(OutboxRow))} == {OutboxStatus.DELIVERED}
    box.empty()


def test_a_letter_of_a_transaction_that_failed_was_never_written(app):
    def fail():
        with app.app_context(), unit_of_work():
            outgoing.send("test", to=ADA, locale=None, **LINK)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert mails(app) == []


def test_the_secret_of_a_letter_is_encrypted_while_it_waits(app):
    send(app)
    with app.app_context():
        stored = repr(db.session.execute(select(Mail.__table__)).all())
        events = repr(db.session.execute(select(OutboxRow.__table__)).all())
    assert "a-secret-token" not in stored + events


def test_the_way_is_kept_with_the_application(app):
    with app.app_context():
        assert transport() is transport()
