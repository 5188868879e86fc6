"""Letters on their way: a real SMTP server, its refusals, its silence, and crashes."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail import outgoing
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from tests.core import smtp

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
    setattr(inbox, where, [f"550 5.7.1 <{ADA}> does not take this"])
    with smtp.server(inbox) as port:
        app = app_with(f"smtp+plain://127.0.0.1:{port}")
        send(app)
        deliver(app)
        deliver(app, again=True)
    status, attempts, error = row(app)
    assert (status, attempts) == (OutboxStatus.DEAD, 1)
    assert "550 5.7.1" in error
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
            delivering = pool.submit(deliver, app)
            while row(app)[1] == 0:
                assert not delivering.done()
            send(app, to="grace@example.com")  # a writer who waits for nothing
            assert not delivering.done()
            delivering.result()
    with app.app_context():
        waiting = list(db.session.scalars(select(OutboxRow).order_by(OutboxRow.id)))
    assert {one.status for one in waiting} == {OutboxStatus.PENDING}
    assert "in time" in waiting[0].error
    # The letters behind do not try: other events would wait for as many timeouts as letters.
    assert all("a moment ago" in one.error for one in waiting[1:])


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
