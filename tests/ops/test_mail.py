"""``flask mail``, and what the doctor says of mail."""

import json
import socket

import pytest

from devforge_api.app import create_app
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail import outgoing
from tests.core import smtp
from tests.mailbox import Mailbox

ADA = "ada@example.com"


@pytest.fixture
def app_with(environ):
    made = []

    def make(url=None, **overrides):
        settings = {"DEVFORGE_MAIL_URL": url} if url else {}
        made.append(create_app({**environ, **settings}, **overrides))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


def run(app, *arguments):
    return app.test_cli_runner().invoke(args=list(arguments))


def doctor(app):
    done = run(app, "doctor", "--json")
    (found,) = [one for one in json.loads(done.output) if one["part"] == "mail"]
    return found["state"], found["seen"], found["advice"], done.exit_code


def test_a_test_letter_is_sent_at_once(app_with, app):
    inbox = smtp.Inbox()
    with smtp.server(inbox) as port:
        done = run(app_with(f"smtp+plain://127.0.0.1:{port}"), "mail", "test", ADA, "--locale", "de-AT")
    assert (done.exit_code, done.output) == (0, f"The letter to {ADA} was handed to the mail server.\n")
    assert [letter.subject for letter in inbox.letters] == ["Ein Testbrief"]


def test_a_test_letter_without_a_server_is_a_file(app):
    box = Mailbox(app)
    done = run(app, "mail", "test", ADA)
    assert (done.exit_code, done.output) == (0, f"The letter to {ADA} was written to the folder.\n")
    assert box.subjects(ADA) == ["A test letter"]
    box.empty()


@pytest.mark.parametrize(("answer", "told"), [("550 no such user", "550"), ("451 later", "451")])
def test_a_refusal_of_the_test_letter_is_told(app_with, app, answer, told):
    inbox = smtp.Inbox(to_recipient=[answer])
    with smtp.server(inbox) as port:
        done = run(app_with(f"smtp+plain://127.0.0.1:{port}"), "mail", "test", ADA)
    assert done.exit_code == 1
    assert told in done.output
    assert run(app, "mail", "test", "no address").exit_code == 1


def test_letters_are_listed_without_what_they_say(app):
    box = Mailbox(app)
    for to in (ADA, "grace@example.com"):
        with app.app_context(), unit_of_work():
            outgoing.send("test", to=to, locale="en", link="https://example.org/#secret")
        if to == ADA:
            box.letters()
    listed = run(app, "mail", "list", "--json")
    assert "secret" not in listed.output
    rows = json.loads(listed.output)
    assert [(row["recipient"], row["sent_at"] is None) for row in rows] == [
        ("grace@example.com", True),
        (ADA, False),
    ]
    unsent = json.loads(run(app, "mail", "list", "--json", "--unsent").output)
    assert [row["recipient"] for row in unsent] == ["grace@example.com"]
    assert "grace@example.com" in run(app, "mail", "list").output
    box.empty()


def test_the_doctor_signs_in_and_says_how(app_with, app, tmp_path, monkeypatch):
    authority, both = smtp.make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    inbox = smtp.Inbox()
    with smtp.server(inbox, both, **smtp.with_login()) as port:
        right = doctor(app_with(f"smtp://{smtp.IN_URL}127.0.0.1:{port}"))
        wrong = doctor(app_with(f"smtp://relay:guess@127.0.0.1:{port}"))
    assert right[0] == "ok"
    assert "by STARTTLS and takes the login" in right[1]
    assert (wrong[0], wrong[3]) == ("failed", 1)
    assert "535" in wrong[1]
    assert "guess" not in str(wrong)
    assert "DEVFORGE_MAIL_URL" in wrong[2]
    assert inbox.letters == []


def test_the_doctor_names_a_server_that_is_away_or_silent(app_with, app):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "in time" in doctor(app_with(f"smtp+plain://127.0.0.1:{port}"))[1]
    state, seen, *_ = doctor(app_with(f"smtp+plain://127.0.0.1:{port}"))
    assert state == "failed"
    assert "refused" in seen


def test_a_folder_is_enough_for_development_and_not_for_customers(app_with, app):
    assert doctor(app_with())[0] == "ok"
    state, seen, advice, code = doctor(app_with(REQUIRE_HTTPS=True))
    assert (state, code) == ("warning", 0)
    assert "sent to nobody" in seen
    state, _, advice, code = doctor(app_with(REQUIRE_HTTPS=True, EMAIL_VERIFICATION="required"))
    assert (state, code) == ("failed", 1)
    assert "DEVFORGE_MAIL_URL" in advice


def test_a_folder_that_cannot_be_written_is_a_fault(app):
    box = Mailbox(app)
    box.folder.touch()
    try:
        assert doctor(app)[0] == "failed"
    finally:
        box.folder.unlink()
