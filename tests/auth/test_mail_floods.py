"""A stranger cannot fill somebody's mailbox by accounts with that address, or by changing to it."""

import pytest

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail.outgoing import Mail
from devforge_api.users import service as users
from tests.factories import PASSWORD, Person

VICTIM = "victim@example.com"


@pytest.fixture
def registered(api, calls):
    """Register, and prove the password once more."""

    def make(email=VICTIM):
        data = calls.register(email).json["data"]
        who = Person(data["user"]["id"], email, data["access_token"], data["refresh_token"])
        return api.reauthenticated(who)

    return make


def test_registering_and_erasing_in_turn_sends_five_letters_a_day(api, mailbox, registered):
    for number in range(8):
        who = registered(VICTIM if number % 2 else VICTIM.upper())
        mailbox.letters()
        assert api.delete("/users/me", by=who).status_code == 204
    assert mailbox.subjects() == ["Confirm your address"] * 5
    with api.app.app_context():
        assert {mail.recipient for mail in db.session.query(Mail)} == {""}


def test_a_letter_whose_recipient_is_erased_meanwhile_is_not_sent(api, mailbox, registered):
    assert api.delete("/users/me", by=registered()).status_code == 204
    assert mailbox.letters() == []


def test_changing_the_password_of_an_unverified_account_is_told_five_times_a_day(
    api, calls, mailbox, registered
):
    who, password = registered(), PASSWORD
    for number in range(7):
        new = f"staple orbit lantern {number}"
        assert calls.change_password(who, new, current=password).status_code == 204
        password = new
    assert mailbox.subjects().count("Your password was changed") == 5


def test_many_accounts_that_change_to_one_address_write_to_it_five_times_a_day(api, mailbox):
    spellings = [VICTIM, "vICTIM@example.com", "VICTIM@EXAMPLE.COM", "victim@ｅxample.com"]  # noqa: RUF001
    for number in range(8):
        who = api.reauthenticated(api.person())
        body = {"email": spellings[number % 4]}
        assert api.post("/auth/email/change", body, by=who).status_code == 202
    assert len([letter for letter in mailbox.letters() if "person" not in letter.to]) == 5


def test_an_unverified_address_is_told_five_times_a_day_of_changes_to_others(app, api, mailbox):
    """Whoever holds the other addresses confirms them, and registers with this one again."""
    for number in range(7):
        who = api.reauthenticated(api.person(email=VICTIM, verified=False))
        other = f"other{number}@example.com"
        assert api.post("/auth/email/change", {"email": other}, by=who).status_code == 202
        token = mailbox.last(other).token
        assert api.post("/auth/email/verify", {"token": token}).status_code == 200
        with app.app_context():
            assert users.find_by_email(VICTIM) is None
    told = mailbox.subjects(VICTIM)
    assert {subject: told.count(subject) for subject in told} == {
        "Your address is about to change": 5, "The address of your account was changed": 5,
    }  # fmt: skip


def test_a_verified_owner_is_told_each_time(app, api, calls, mailbox):
    ada, password = api.person(), PASSWORD
    for number in range(7):
        new = f"staple orbit lantern {number}"
        assert calls.change_password(ada, new, current=password).status_code == 204
        password = new
    with app.app_context(), unit_of_work():
        assert users.get_user(ada.id).email_verified
    assert mailbox.subjects(ada.email) == ["Your password was changed"] * 7


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u2060"])
def test_an_address_with_letters_that_nobody_sees_is_refused(calls, unseen):
    assert calls.register(f"victim@exam{unseen}ple.com").status_code == 422
