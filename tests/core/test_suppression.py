"""Addresses that get no letters: found out by a real mail server's refusals, or told by hand."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail import outgoing, suppression
from devforge_api.core.mail.outgoing import Mail
from devforge_api.core.mail.suppression import MailSuppression, SuppressionReason
from devforge_api.core.mail.transport import is_unknown
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from devforge_api.users.service import delete_user, get_user, get_user_beside_admins, update_user
from tests.core import smtp
from tests.users.known import opened, step_up

ADA = "ada@example.com"
LINK = {"link": "https://api.example.org/"}
OLD, NEW = "an-older-secret-of-these-43-characters-here", "tests-sign-cursors-with-these-43-characters"


@pytest.fixture
def inbox():
    return smtp.Inbox()


def send(app, to=ADA):
    with app.app_context(), unit_of_work():
        outgoing.send("test", to=to, locale="en", **LINK)


def deliver(app, *, again=False):
    with app.app_context():
        if again:
            with unit_of_work():
                db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
        drain()


def suppress(app, address=ADA, reason=SuppressionReason.MANUAL, detail=None):
    with app.app_context(), unit_of_work():
        suppression.suppress(address, reason, detail)


def on_the_list(app):
    with app.app_context():
        return list(db.session.scalars(select(MailSuppression)))


def mails(app):
    with app.app_context():
        return list(db.session.scalars(select(Mail).order_by(Mail.id)))


def states(app):
    with app.app_context():
        return list(db.session.scalars(select(OutboxRow.status).where(OutboxRow.name == "mail.requested")))


@pytest.mark.parametrize("where", ["to_recipient", "to_data"])
def test_an_address_that_its_server_does_not_know_gets_no_more_letters(make_api, inbox, where):
    setattr(inbox, where, [f"550 5.1.1 <{ADA}> no such user here"])
    with smtp.server(inbox) as port:
        app = make_api(DEVFORGE_MAIL_URL=f"smtp+plain://127.0.0.1:{port}").app
        send(app)
        deliver(app)
        send(app)
        deliver(app)
    assert inbox.letters == []
    (entry,) = on_the_list(app)
    assert entry.reason is SuppressionReason.BOUNCED
    assert "550 5.1.1" in entry.detail
    assert ADA not in entry.detail + entry.counted_as
    for mail in mails(app):
        assert (mail.sent_at, mail.params) == (None, None)
        assert mail.suppressed_at is not None
    assert states(app) == [OutboxStatus.DELIVERED] * 2  # nothing is left for an operator to do


@pytest.mark.parametrize(
    "answer",
    ["550 5.7.1 refused by policy", "550 no such user", "554 5.7.26 unauthenticated mail", "552 5.2.2 full",
     "451 4.1.1 not now", "550 5.2.1 receiving mail too fast", "553 5.1.8 bad sender", "550 15.1.1 odd"],
)  # fmt: skip
def test_refusals_that_are_about_us_or_may_pass_put_nobody_on_the_list(make_api, inbox, answer):
    inbox.to_recipient = [answer]
    with smtp.server(inbox) as port:
        app = make_api(DEVFORGE_MAIL_URL=f"smtp+plain://127.0.0.1:{port}").app
        send(app)
        deliver(app)
    assert on_the_list(app) == []
    assert states(app)[0] is not OutboxStatus.DELIVERED


def test_the_codes_of_addresses_that_do_not_exist():
    assert all(map(is_unknown, ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"]))
    assert not any(map(is_unknown, ["5.1.7", "5.1.8", "5.2.2", "5.4.4", "5.7.1", "4.1.1"]))


@pytest.mark.parametrize("spelling", ["ADA@Example.COM", "ada@EXAMPLE.com"])
def test_however_the_address_is_spelt(app, mailbox, spelling):
    suppress(app, spelling)
    send(app)
    assert mailbox.letters() == []
    assert mails(app)[0].suppressed_at is not None


def test_others_get_their_letters(app, mailbox):
    suppress(app)
    send(app, "grace@example.com")
    assert len(mailbox.letters()) == 1


def test_an_address_is_found_by_an_older_secret_and_comes_under_the_new_one(make_api):
    before = make_api(DEVFORGE_SECRET_KEY=OLD).app
    suppress(before, reason=SuppressionReason.COMPLAINED)
    (old,) = on_the_list(before)
    rotated = make_api(DEVFORGE_SECRET_KEY=f"{NEW},{OLD}").app
    send(rotated)
    deliver(rotated)
    assert mails(rotated)[0].suppressed_at is not None
    (moved,) = on_the_list(rotated)
    assert moved.counted_as != old.counted_as
    assert (moved.reason, moved.created_at) == (SuppressionReason.COMPLAINED, old.created_at)
    after = make_api(DEVFORGE_SECRET_KEY=NEW).app  # the old one is listed no longer
    with after.app_context():
        assert suppression.is_suppressed(ADA)
        with unit_of_work():
            assert suppression.lift(ADA)
        assert not suppression.is_suppressed(ADA)


def test_a_complaint_outlasts_a_bounce_but_not_the_other_way_round(app):
    suppress(app, reason=SuppressionReason.BOUNCED, detail="550 5.1.1")
    suppress(app, reason=SuppressionReason.COMPLAINED, detail="reported")
    suppress(app, reason=SuppressionReason.BOUNCED, detail="550 5.1.1")
    (entry,) = on_the_list(app)
    assert (entry.reason, entry.detail) == (SuppressionReason.COMPLAINED, "reported")


def test_several_servers_that_find_it_out_at_once(app):
    start = Barrier(4)

    def find_out(number):
        start.wait()
        suppress(app, reason=SuppressionReason.BOUNCED, detail=str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(find_out, range(4)))
    assert len(on_the_list(app)) == 1


# --- and users ---------------------------------------------------------------------------------
def verify(api, person):
    with api.app.app_context(), unit_of_work():
        update_user(get_user(person.id, for_update=True), {"email_verified": True})
    while api.deliver():
        pass


@pytest.mark.parametrize(
    ("reason", "stays"),
    [
        (SuppressionReason.BOUNCED, False),
        (SuppressionReason.COMPLAINED, True),
        (SuppressionReason.MANUAL, True),
    ],
)
def test_an_address_that_proves_to_work_comes_off_the_list_if_it_had_bounced(api, reason, stays):
    person = api.person(verified=False)
    api.deliver()
    suppress(api.app, person.email, reason)
    verify(api, person)
    assert bool(on_the_list(api.app)) is stays


def test_who_is_erased_stays_on_the_list_without_what_was_said(api):
    """Or whoever makes and erases accounts with somebody's address could write to them again."""
    person = api.person()
    suppress(api.app, person.email, SuppressionReason.COMPLAINED, "says Grace")
    with api.app.app_context(), unit_of_work():
        done = delete_user(get_user_beside_admins(person.id))
    assert ("mail", "mail_suppressions", 1) in [(part, one.table, one.rows) for part, one in done]
    (entry,) = on_the_list(api.app)
    assert entry.detail is None
    with api.app.app_context():
        assert suppression.is_suppressed(person.email)


def test_one_s_export_tells_that_one_is_on_the_list(app, api):
    person = api.person()
    suppress(app, person.email, SuppressionReason.BOUNCED, "550 5.1.1")
    step_up(app, person)
    files = opened(api.get("/users/me/export", by=person).data)
    (entry,) = files["mail/mail_suppressions.json"]
    assert (entry["reason"], entry["detail"]) == ("bounced", "550 5.1.1")
