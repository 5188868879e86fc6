"""``flask mail bounce``: reports of mail servers, genuine, forged and odd; and the list by hand."""

import json
from email.message import EmailMessage
from unittest.mock import patch

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from devforge_api.core.db import db, unit_of_work, uuid7
from devforge_api.core.mail import bounces, outgoing
from devforge_api.core.mail.outgoing import Mail
from tests.mailbox import Mailbox

ADA = "ada@example.com"

# As Postfix writes it.
REPORT = """\
Return-Path: <>
Date: Sun, 22 Nov 2026 03:00:00 +0000 (UTC)
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: no-reply@example.org
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F1A21E2A3.1700000000/mx.example.org"
Message-Id: <20261122030000.5A1B21E2A4@mx.example.org>

This is a MIME-encapsulated message.

--4F1A21E2A3.1700000000/mx.example.org
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--4F1A21E2A3.1700000000/mx.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
X-Postfix-Queue-ID: 4F1A21E2A3
Arrival-Date: Sun, 22 Nov 2026 02:59:59 +0000 (UTC)

Final-Recipient: rfc822; ada@example.com
Original-Recipient: rfc822;ada@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; 550 5.1.1 <ada@example.com>: Recipient address
    rejected: User unknown in virtual mailbox table

--4F1A21E2A3.1700000000/mx.example.org
Content-Description: Undelivered Message
Content-Type: {returned}

Message-ID: <{letter}@example.org>
Subject: A test letter
From: Dev Forge <no-reply@example.org>
To: ada@example.com

--4F1A21E2A3.1700000000/mx.example.org--
"""


def report(letter, *, action="failed", status="5.1.1", returned="message/rfc822"):
    values = {"letter": letter, "action": action, "status": status, "returned": returned}
    return REPORT.format(**values).encode()


@pytest.fixture
def letter(app):
    """The id of a letter that was sent."""
    box = Mailbox(app)
    with app.app_context(), unit_of_work():
        outgoing.send("test", to=ADA, locale="en", link="https://api.example.org/")
    assert len(box.letters(ADA)) == 1
    box.empty()
    with app.app_context():
        return db.session.scalars(select(Mail.id)).one()


def run(app, *arguments, given=None):
    return app.test_cli_runner().invoke(args=["mail", *arguments], input=given)


def suppressions(app, *more):
    return json.loads(run(app, "suppressions", "--json", *more).output)


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
def test_a_report_about_a_letter_of_ours_puts_its_address_on_the_list(app, letter, returned):
    done = run(app, "bounce", given=report(letter, returned=returned))
    assert (done.exit_code, "does not exist" in done.output) == (0, True)
    (entry,) = suppressions(app)
    assert entry["reason"] == "bounced"
    assert "User unknown" in entry["detail"]
    assert ADA not in entry["detail"] + entry["name"]


@pytest.mark.parametrize(
    ("action", "status"),
    [("failed", "5.7.1"), ("failed", "5.2.2"), ("delayed", "4.4.1"), ("failed", "4.1.1"),
     ("relayed", "2.0.0"), ("delayed", "5.1.1"), ("failed", "nonsense")],
)  # fmt: skip
def test_a_report_of_something_else_does_not(app, letter, action, status):
    done = run(app, "bounce", given=report(letter, action=action, status=status))
    assert (done.exit_code, "nothing was done" in done.output) == (0, True)
    assert suppressions(app) == []


def test_who_does_not_know_a_letters_id_can_suppress_nobody(app, letter):
    done = run(app, "bounce", given=report(uuid7()))
    assert (done.exit_code, "no letter that is known" in done.output) == (0, True)
    assert suppressions(app) == []


def test_a_report_that_returns_nothing_is_known_by_what_it_answers(app, letter):
    raw = report(letter).replace(f"Message-ID: <{letter}@".encode(), b"X-Nothing: <")
    raw = raw.replace(b"Return-Path: <>", f"In-Reply-To: <{letter}@example.org>".encode())
    assert "does not exist" in run(app, "bounce", given=raw).output


def test_what_is_no_report_is_left_alone(app, letter):
    out_of_office = EmailMessage()
    out_of_office["Subject"] = "I am away"
    out_of_office["In-Reply-To"] = f"<{letter}@example.org>"
    out_of_office.set_content("Back on Monday. 550 5.1.1 no such user")
    bare = b"Content-Type: message/delivery-status\n\n"
    odd = b"Content-Type: multipart/report; boundary=x\n\n--x\n" + bare + b"\xff\xfe\n"
    for given in (out_of_office.as_bytes(), b"", b"\0" * 100, odd, bare):
        done = run(app, "bounce", given=given)
        assert (done.exit_code, done.output) == (0, "This is no delivery status notification.\n")
    assert suppressions(app) == []


def test_a_letter_to_nobody_any_more_names_nobody(app, letter):
    with app.app_context(), unit_of_work():
        db.session.execute(outgoing.forget_recipient(ADA))
    assert run(app, "bounce", given=report(letter)).exit_code == 0
    assert suppressions(app) == []


def test_a_mail_server_tries_again_while_the_database_is_away(app, letter):
    with patch.object(bounces, "take", side_effect=OperationalError("", {}, Exception("gone"))):
        assert run(app, "bounce", given=report(letter)).exit_code == 75
    app.test_cli_runner().invoke(args=["maintenance", "on"])
    assert run(app, "bounce", given=report(letter)).exit_code == 75
    app.test_cli_runner().invoke(args=["maintenance", "off"])
    assert suppressions(app) == []


def test_the_list_is_kept_by_hand(app):
    assert run(app, "suppress", ADA, "--reason", "complained", "--detail", "wrote to us").exit_code == 0
    (entry,) = suppressions(app, "--address", "ADA@example.com")
    assert (entry["reason"], entry["detail"]) == ("complained", "wrote to us")
    assert suppressions(app, "--address", "grace@example.com") == []
    assert "complained" in run(app, "suppressions").output
    assert run(app, "unsuppress", ADA).exit_code == 0
    again = run(app, "unsuppress", ADA)
    assert (again.exit_code, "not on the list" in again.output) == (1, True)


def test_a_letter_that_was_suppressed_waits_no_longer(app):
    run(app, "suppress", ADA)
    with app.app_context(), unit_of_work():
        outgoing.send("test", to=ADA, locale="en", link="https://api.example.org/")
    assert len(json.loads(run(app, "list", "--unsent", "--json").output)) == 1
    assert Mailbox(app).letters() == []
    assert json.loads(run(app, "list", "--unsent", "--json").output) == []
    (mail,) = json.loads(run(app, "list", "--json").output)
    assert (mail["sent_at"], mail["suppressed_at"] is None) == (None, False)
