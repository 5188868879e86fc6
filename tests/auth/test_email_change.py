"""Another address: confirmed on the new one, told to the old one, the same answer for one that is taken."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.auth.models import Session
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.users.models import User
from tests.factories import code_of

OLD, NEW = "ada@example.com", "lovelace@example.com"
MINUTE = timedelta(minutes=1, seconds=1)


@pytest.fixture
def proven(app, api):
    """A person who has just proven once more who they are."""

    def make(email=OLD, **kwargs):
        person = api.person(email=email, **kwargs)
        with app.app_context(), unit_of_work():
            db.session.execute(
                update(Session).where(Session.user_id == person.id).values(reauthenticated_at=utc_now())
            )
        return person

    return make


@pytest.fixture
def change(api):
    return lambda by, email=NEW: api.post("/auth/email/change", {"email": email}, by=by)


@pytest.fixture
def confirm(api):
    return lambda token: api.post("/auth/email/verify", {"token": token})


def test_the_address_changes_once_the_new_one_has_confirmed(calls, mailbox, proven, change, confirm):
    ada = proven()
    assert change(ada).status_code == 202
    assert mailbox.subjects(OLD) == ["Your address is about to change"]
    assert calls.me(ada.access_token).json["data"]["email"] == OLD
    letter = mailbox.last(NEW)
    assert "/account/email-change#token=" in letter.link
    done = confirm(letter.token)
    assert (done.status_code, done.json["data"]["email"]) == (200, NEW)
    assert done.json["data"]["email_verified"] is True
    me = calls.me(ada.access_token).json["data"]
    assert (me["email"], me["email_verified"]) == (NEW, True)
    for address in (OLD, NEW):
        assert mailbox.subjects(address)[-1] == "The address of your account was changed"
    assert calls.login(NEW).status_code == 200
    assert code_of(calls.login(OLD)) == "INVALID_CREDENTIALS"


def test_a_stolen_token_is_not_enough(api, change):
    assert code_of(change(api.person())) == "REAUTH_REQUIRED"


def test_an_address_that_is_taken_gets_another_letter_and_the_same_answer(
    api, mailbox, proven, change, count_queries
):
    api.person(email=NEW)
    first, second = proven(), proven("grace@example.com")
    api.get("/auth/me", by=first)  # a process asks once what was revoked before it began
    with count_queries() as taken_queries:
        taken = change(first)
    with count_queries() as free_queries:
        free = change(second, "free@example.com")
    assert (taken.status_code, taken.data) == (free.status_code, free.data) == (202, free.data)
    assert len(taken_queries) == len(free_queries)
    assert mailbox.subjects(NEW) == ["Somebody tried to use your address"]
    assert "#token" not in mailbox.last(NEW).text


def test_an_address_that_was_taken_meanwhile_is_a_conflict_and_the_link_stays_good(
    app, api, mailbox, proven, change, confirm
):
    change(proven())
    token = mailbox.last(NEW).token
    other = api.person(email=NEW)
    refused = confirm(token)
    assert (refused.status_code, code_of(refused)) == (409, "EMAIL_TAKEN")
    api.delete(f"/users/{other.id}", by=api.admin())
    assert confirm(token).status_code == 200


def test_of_two_accounts_that_change_to_one_address_one_gets_it(app, mailbox, proven, change, confirm):
    for number in range(4):
        address = f"wanted{number}@example.com"
        people = [proven(f"{name}{number}@example.com") for name in ("ada", "grace")]
        for person in people:
            assert change(person, address).status_code == 202
        tokens = [letter.token for letter in mailbox.letters(address)]
        with ThreadPoolExecutor(4) as pool:
            codes = sorted(answer.status_code for answer in pool.map(confirm, tokens * 2))
        assert codes.count(200) == 1
        assert set(codes) == {200, 409, 410}
        with app.app_context():
            assert db.session.scalar(select(func.count()).where(User.email_key == address)) == 1


def test_only_the_last_change_that_was_asked_for_counts(mailbox, proven, change, confirm):
    ada = proven()
    change(ada, "first@example.com")
    mailbox.let_pass(MINUTE)
    change(ada, "second@example.com")
    assert confirm(mailbox.last("first@example.com").token).status_code == 410
    assert confirm(mailbox.last("second@example.com").token).status_code == 200


def test_changes_are_a_minute_apart_and_five_a_day(mailbox, proven, change):
    ada = proven()
    assert change(ada, "a0@example.com").status_code == 202
    refused = change(ada, "a0@example.com")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    for number in range(1, 5):
        mailbox.let_pass(MINUTE)
        assert change(ada, f"a{number}@example.com").status_code == 202
    mailbox.let_pass(MINUTE)
    assert change(ada, "a9@example.com").status_code == 429
    assert len(mailbox.letters()) == 10


def test_letters_to_the_old_address_lose_their_force(api, mailbox, proven, change, confirm):
    ada = proven(verified=False)
    api.post("/auth/password/forgot", {"email": OLD})
    api.post("/auth/email/resend", {"email": OLD})
    links = [letter.token for letter in mailbox.letters(OLD)]
    change(ada)
    assert confirm(mailbox.last(NEW).token).status_code == 200
    for token in links:
        assert confirm(token).status_code == 410
        body = {"token": token, "password": "staple orbit lantern"}
        assert api.post("/auth/password/reset", body).status_code == 410


def test_the_spelling_of_one_s_own_address_can_change(calls, mailbox, proven, change, confirm):
    ada = proven()
    change(ada, "Ada@example.com")
    assert confirm(mailbox.last("Ada@example.com").token).json["data"]["email"] == "Ada@example.com"


def test_what_was_bought_for_the_new_address_becomes_the_user_s(api, mailbox, proven, change, confirm):
    license_ = api.license(email=NEW)
    ada = proven()
    change(ada)
    confirm(mailbox.last(NEW).token)
    api.deliver()
    assert [one["id"] for one in api.get("/licenses", by=ada).json["data"]] == [str(license_.id)]
