"""Letters on their way: a real SMTP server, its refusals, its silence, and crashes."""

import os
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.core.mail import outgoing
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.transport import transport
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from tests.core import smtp
from tests.mailbox import Mailbox

ADA = "ada@example.com"
LINK = {"link": "https://api.example.org/#token=a-secret-token"}
MINUTE = timedelta(seconds=60)


@pytest.fixture
def inbox():
    return smtp.Inbox()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return smtp.make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificates, monkeypatch):
    """The server's certificate; its authority is trusted as an operator would have it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates[0]))
    return certificates[1]


@pytest.fixture
def app_with(make_api):
    """An application that sends to this address."""

    def make(url, **overrides):
        return make_api(DEVFORGE_MAIL_URL=url, **{"OUTBOX_LEASE": MINUTE, **overrides}).app

    return make


def send(app, to=ADA, letter="test", locale="en", **params):
    with app.app_context(), unit_of_work():
        outgoing.send(letter, to=to, locale=locale, **(params or LINK))


def deliver(app, *, again=False):
    """Deliver what is due, or with ``again`` whatever was put off as well."""
    with app.app_context():
        if again:
            with unit_of_work():
                db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
        return drain()


def row(app):
    with app.app_context():
        found = db.session.scalar(select(OutboxRow).where(OutboxRow.name == "mail.requested"))
        return found.status, found.attempts, found.error or ""


def mails(app):
    with app.app_context():
        return list(db.session.scalars(select(Mail).order_by(Mail.id)))


# --- the ways -------------------------------------------------------------------------------
def test_a_letter_goes_to_a_plain_relay(app_with, inbox):
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)
        deliver(app)
    (letter,) = inbox.letters
    assert (inbox.recipients, inbox.encrypted) == ([ADA], [False])
    assert letter.subject == "A test letter"
    assert LINK["link"] in letter.text
    assert LINK["link"] in letter.html
    (mail,) = mails(app)
    assert mail.params is None
    assert mail.sent_at is not None
    assert row(app)[0] is OutboxStatus.DELIVERED


def test_starttls_with_a_login(app_with, inbox, trusted):
    with smtp.server(inbox, trusted, require_starttls=True, **smtp.with_login()) as port:
        app = app_with(f"smtp://{smtp.IN_URL}127.0.0.1:{port}")
        send(app)
        deliver(app)
    assert (inbox.recipients, inbox.encrypted) == ([ADA], [True])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # there is TLS below it
def test_implicit_tls_with_a_login(app_with, inbox, trusted):
    given = {"ssl_context": smtp.context(trusted), "auth_require_tls": False}
    with smtp.server(inbox, **given, **smtp.with_login()) as port:
        app = app_with(f"smtps://{smtp.IN_URL}127.0.0.1:{port}")
        send(app)
        deliver(app)
    assert inbox.recipients == [ADA]


def test_a_server_that_offers_no_encryption_gets_nothing(app_with, inbox):
    with smtp.server(inbox) as port:
        app = app_with(f"smtp://127.0.0.1:{port}")
        send(app)
        deliver(app)
    assert inbox.letters == []
    status, _, error = row(app)
    assert status is OutboxStatus.PENDING
    assert "does not offer STARTTLS" in error


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_vouches_for_is_refused(app_with, inbox, certificates, scheme):
    tls = {"ssl_context": smtp.context(certificates[1])} if scheme == "smtps" else {}
    with smtp.server(inbox, certificates[1], **tls) as port:
        app = app_with(f"{scheme}://127.0.0.1:{port}")
        send(app)
        deliver(app)
    assert inbox.letters == []
    assert "CERTIFICATE_VERIFY_FAILED" in row(app)[2]


def test_a_certificate_for_another_name_is_refused(app_with, inbox, tmp_path, monkeypatch):
    authority, both = smtp.make_certificate(tmp_path, host="mail.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with smtp.server(inbox, both) as port:
        app = app_with(f"smtp://127.0.0.1:{port}")
        send(app)
        deliver(app)
    assert inbox.letters == []
    assert "CERTIFICATE_VERIFY_FAILED" in row(app)[2]


def test_a_wrong_login_is_tried_again_and_tells_no_password(app_with, inbox, trusted):
    with smtp.server(inbox, trusted, **smtp.with_login()) as port:
        app = app_with(f"smtp://relay:not-the-password@127.0.0.1:{port}")
        send(app)
        deliver(app)
    status, _, error = row(app)
    assert status is OutboxStatus.PENDING
    assert "535" in error
    assert "not-the-password" not in error


# --- refusals -------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["to_recipient", "to_data"])
def test_a_temporary_refusal_is_tried_again_with_the_same_message_id(app_with, inbox, where):
    setattr(inbox, where, ["451 busy, come back later"])
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)
        deliver(app)
        status, attempts, error = row(app)
        assert (status, attempts) == (OutboxStatus.PENDING, 1)
        assert "451 busy" in error
        assert mails(app)[0].params is not None
        deliver(app, again=True)
    (letter,) = inbox.letters
    assert letter.message["Message-ID"] == f"<{mails(app)[0].id}@localhost>"
    assert row(app)[:2] == (OutboxStatus.DELIVERED, 2)


@pytest.mark.parametrize("where", ["to_recipient", "to_data"])
def test_a_recipient_who_is_refused_for_good_is_not_tried_again(app_with, inbox, where):
    setattr(inbox, where, [f"550 5.1.1 <{ADA}> no such user"])
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)
        deliver(app)
        deliver(app, again=True)
    status, attempts, error = row(app)
    assert (status, attempts) == (OutboxStatus.DEAD, 1)
    assert "550 5.1.1" in error
    assert ADA not in error
    assert mails(app)[0].sent_at is None


def test_an_address_that_needs_smtputf8_gets_it_or_is_refused(app_with, inbox):
    wide = "jörg@bücher.example"
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app, to=wide)
        deliver(app)
    assert inbox.recipients == ["jörg@xn--bcher-kva.example"]
    assert "SMTPUTF8" in inbox.options[0]
    with smtp.server(inbox, utf8=False) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app, to=wide)
        deliver(app)
    with app.app_context():
        rows = db.session.scalars(select(OutboxRow).order_by(OutboxRow.id))
        assert [one.status for one in rows] == [OutboxStatus.DELIVERED, OutboxStatus.DEAD]
    assert len(inbox.letters) == 1


# --- silence --------------------------------------------------------------------------------
def test_a_server_that_never_answers_holds_neither_a_transaction_nor_the_lease(app_with):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = app_with(f"smtp+plain://127.0.0.1:{silent.getsockname()[1]}", MAIL_SECONDS=1.0)
        send(app)
        send(app)
        with ThreadPoolExecutor(1) as pool:
            begun = time.monotonic()
            delivering = pool.submit(deliver, app)
            while row(app)[1] == 0:
                assert not delivering.done()
            send(app, to="grace@example.com")  # a writer who waits for nothing
            assert not delivering.done()
            delivering.result()
            took = time.monotonic() - begun
    # The second letter does not try: other events would wait for as many timeouts as letters.
    assert took < 2 * transport_seconds(app)
    status, attempts, error = row(app)
    assert (status, attempts) == (OutboxStatus.PENDING, 1)
    assert "in time" in error or "timed out" in error


def transport_seconds(app):
    return app.config["MAIL_SECONDS"] + 1


def test_a_server_that_sends_a_byte_now_and_then_is_broken_off(app_with):
    stop = threading.Event()
    broken = threading.Event()

    def drip(listening):
        connected, _ = listening.accept()
        with connected:
            while not stop.wait(0.05):
                try:
                    connected.sendall(b"2")
                except OSError:
                    broken.set()
                    return

    with socket.create_server(("127.0.0.1", 0)) as slow:
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        app = app_with(f"smtp+plain://127.0.0.1:{slow.getsockname()[1]}", MAIL_SECONDS=0.5)
        send(app)
        deliver(app)
        assert broken.wait(10)
        stop.set()
        thread.join()
    assert "in time" in row(app)[2]


def test_a_whole_exchange_ends_well_before_the_lease():
    from config import base

    assert base.OUTBOX_LEASE.total_seconds() > 2 * base.MAIL_SECONDS


# --- crashes --------------------------------------------------------------------------------
def test_a_crash_between_sending_and_noting_repeats_the_same_message_id(app_with, inbox, monkeypatch):
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)

        class Killed(BaseException):
            """As if the process had ended here."""

        def die(self):
            raise Killed

        with app.app_context():
            (row_id,) = outbox.claim()
            with monkeypatch.context() as patch:
                patch.setattr(OutboxRow, "mark_delivered", die)
                with pytest.raises(Killed):
                    outbox.deliver(row_id)
            db.session.remove()
        assert len(inbox.letters) == 1
        assert mails(app)[0].sent_at is None
        deliver(app, again=True)
    first, second = inbox.letters
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.text == second.text
    assert row(app)[0] is OutboxStatus.DELIVERED


def test_a_letter_that_was_sent_is_not_sent_again(app_with, inbox):
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)
        deliver(app)
        with app.app_context(), unit_of_work():
            db.session.execute(update(OutboxRow).values(status=OutboxStatus.PENDING))
        deliver(app, again=True)
    assert len(inbox.letters) == 1
    assert row(app)[0] is OutboxStatus.DELIVERED


def test_many_workers_send_every_letter_once(app_with, inbox):
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        for number in range(30):
            send(app, to=f"person{number}@example.com")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: deliver(app), range(4)))
    assert sorted(inbox.recipients) == sorted(f"person{number}@example.com" for number in range(30))


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
        deliver(app)
        assert row(app)[0] is OutboxStatus.PENDING
    finally:
        box.folder.unlink()
    assert len((deliver(app, again=True), box.letters())[1]) == 1
    box.empty()


# --- afterwards -----------------------------------------------------------------------------
def test_letters_are_forgotten_a_month_after_they_were_sent_and_never_before(context):
    now = utc_now()
    with unit_of_work():
        for age, sent in ((31, True), (29, True), (400, False)):
            then = now - timedelta(days=age)
            mail = Mail(id=uuid7(), recipient=ADA, letter="test", locale=None, params=None, created_at=then)
            mail.sent_at = then if sent else None
            db.session.add(mail)
    with unit_of_work():
        assert outgoing.purge_sent(now) == 1
    assert db.session.query(Mail).count() == 2


def test_an_address_can_be_forgotten(app):
    box = Mailbox(app)
    send(app)
    box.letters()
    send(app)
    send(app, to="grace@example.com")
    with app.app_context(), unit_of_work():
        outgoing.forget_recipient(ADA)
    assert sorted((mail.recipient, mail.sent_at is None) for mail in mails(app)) == [
        ("", False),
        ("grace@example.com", True),
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


def test_the_way_is_kept_with_the_application(app_with):
    app = app_with("smtp+plain://127.0.0.1:9")
    with app.app_context():
        assert transport() is transport()
