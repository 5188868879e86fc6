"""Verifying an address: the letter, its link, asking again, and registering twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.auth.models import OneTimeToken
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow
from tests.factories import PASSWORD, code_of

ADA = "ada@example.com"
OTHER = "staple orbit lantern"
MINUTE, DAY = timedelta(minutes=1, seconds=1), timedelta(days=1, seconds=1)


@pytest.fixture
def strict(calls_with):
    """The calls where an address must be verified first."""
    return calls_with(EMAIL_VERIFICATION="required")


@pytest.fixture
def verify(api):
    return lambda token: api.post("/auth/email/verify", {"token": token})


@pytest.fixture
def reset(api):
    return lambda token, password: api.post("/auth/password/reset", {"token": token, "password": password})


@pytest.fixture
def resend(api):
    return lambda email=ADA: api.post("/auth/email/resend", {"email": email})


def test_registering_sends_a_letter_whose_link_verifies_the_address(api, calls, mailbox, verify):
    tokens = calls.register(ADA).json["data"]
    (letter,) = mailbox.letters()
    assert letter.to == ADA
    verified = verify(letter.token)
    assert verified.status_code == 200
    assert (verified.json["data"]["email"], verified.json["data"]["email_verified"]) == (ADA, True)
    assert calls.me(tokens["access_token"]).json["data"]["email_verified"] is True
    assert mailbox.subjects() == ["Confirm your address"]


def test_where_verification_is_required_the_link_opens_the_way_in(strict, mailbox, verify):
    assert strict.register(ADA).status_code == 202
    assert code_of(strict.login(ADA)) == "EMAIL_NOT_VERIFIED"
    assert verify(mailbox.last(ADA).token).status_code == 200
    assert strict.login(ADA).status_code == 200


def test_a_link_works_once(calls, mailbox, verify):
    calls.register(ADA)
    token = mailbox.last(ADA).token
    assert verify(token).status_code == 200
    for wrong in (token, token + "x", "x" * 43, "\u2603"):
        refused = verify(wrong)
        assert (refused.status_code, code_of(refused)) == (410, "ONE_TIME_TOKEN_INVALID")


def test_of_many_uses_at_once_one_counts(calls, mailbox, verify):
    for number in range(4):
        email = f"person{number}@example.com"
        calls.register(email)
        token = mailbox.last(email).token
        with ThreadPoolExecutor(6) as pool:
            codes = sorted(answer.status_code for answer in pool.map(verify, [token] * 6))
        assert codes == [200] + [410] * 5


def test_a_link_expires(app, calls, mailbox, verify):
    calls.register(ADA)
    token = mailbox.last(ADA).token
    with app.app_context():
        row = db.session.scalar(select(OneTimeToken))
        assert timedelta(hours=23, minutes=59) < row.expires_at - row.created_at <= timedelta(hours=24)
        with unit_of_work():
            db.session.execute(update(OneTimeToken).values(expires_at=utc_now()))
    assert verify(token).status_code == 410


def test_opening_the_page_or_the_address_by_get_uses_nothing_up(app, api, calls, mailbox, verify):
    calls.register(ADA)
    letter = mailbox.last(ADA)
    for _ in range(2):
        assert app.test_client().get("/account/verify").status_code == 200
        assert api.get("/auth/email/verify").status_code == 405
        assert api.get(f"/auth/email/verify?token={letter.token}").status_code == 405
    assert verify(letter.token).status_code == 200


def test_links_come_from_the_settings_and_never_from_the_request(app, calls, mailbox):
    calls.api.post(
        "/auth/register",
        {"email": ADA, "password": PASSWORD},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    letter = mailbox.last(ADA)
    assert letter.link.startswith(f"{app.config['PUBLIC_URL']}/account/verify#token=")
    assert "evil" not in letter.text + letter.html


def test_links_lead_to_the_pages_that_the_operator_names(calls_with, mailbox):
    calls = calls_with(ACCOUNT_PAGES_URL="https://devforge.example/konto")
    calls.register(ADA)
    calls.api.deliver()  # by the process that knows the setting
    assert mailbox.last(ADA).link.startswith("https://devforge.example/konto/verify#token=")


@pytest.mark.parametrize(
    ("body", "header", "language"),
    [
        ({"locale": "de-AT"}, "en", "de"),
        ({}, "de-CH, en;q=0.5", "de"),
        ({}, "fr, de;q=0.3, en;q=0.2", "de"),
        ({}, "fr", "en"),
        ({"locale": "fr"}, "de", "en"),
        ({}, "", "en"),
    ],
)
def test_a_letter_speaks_its_reader_s_language(api, mailbox, body, header, language):
    given = {"email": ADA, "password": PASSWORD, **body}
    assert api.post("/auth/register", given, headers={"Accept-Language": header}).status_code == 201
    letter = mailbox.last(ADA)
    assert letter.subject == {"de": "Bestätigen Sie Ihre Adresse", "en": "Confirm your address"}[language]
    assert letter.message["Content-Language"] == language
    assert f'<html lang="{language}">' in letter.html


def test_a_name_that_a_stranger_gives_is_in_no_letter_to_an_unverified_address(calls, mailbox):
    calls.register(ADA, name="Visit http://evil.example NOW")
    (letter,) = mailbox.letters()
    assert "evil" not in str(letter.message)


def test_asking_again_sends_another_letter_and_both_links_work(api, calls, mailbox, resend, verify):
    calls.register(ADA)
    first = mailbox.last(ADA)
    mailbox.let_pass(MINUTE)
    assert resend().status_code == 202
    second = mailbox.last(ADA)
    assert first.token != second.token
    assert verify(first.token).status_code == 200
    assert verify(second.token).status_code == 410


def test_asking_again_answers_the_same_for_everyone(api, calls, mailbox, resend, count_queries):
    calls.register(ADA)
    verified = api.person().email
    mailbox.letters()
    mailbox.let_pass(MINUTE)
    seen = []
    for email in (ADA, verified, "nobody@example.com"):
        with count_queries() as queries:
            answer = resend(email)
        seen.append((answer.status_code, answer.data, sorted(answer.headers.keys()), queries))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == 202
    before = len(mailbox.letters(ADA))
    assert (before, len(mailbox.letters())) == (2, 2)


def test_letters_are_a_minute_apart_and_five_a_day(calls, mailbox, resend):
    calls.register(ADA)
    for _ in range(3):
        resend()
    assert len(mailbox.letters(ADA)) == 1
    for _ in range(6):
        mailbox.let_pass(MINUTE)
        resend()
        mailbox.letters()
    assert len(mailbox.letters(ADA)) == 5
    mailbox.let_pass(DAY)
    resend()
    assert len(mailbox.letters(ADA)) == 6


def test_the_owner_learns_of_a_second_registration_once_an_hour(api, strict, mailbox):
    api.person(email=ADA)
    for _ in range(3):
        assert strict.register("ADA@example.com", OTHER).status_code == 202
    assert mailbox.subjects() == ["You already have an account"]
    mailbox.let_pass(timedelta(hours=1, seconds=1))
    strict.register(ADA, OTHER)
    assert mailbox.subjects(ADA) == ["You already have an account"] * 2
    assert strict.login(ADA).status_code == 200


def test_of_an_address_registered_twice_whoever_reads_its_letters_chooses_the_password(
    strict, mailbox, verify, reset
):
    strict.register(ADA, "the password of a thief")
    first = mailbox.last(ADA)
    strict.register(ADA, OTHER)
    letter = mailbox.last(ADA)
    assert letter.subject == "Finish making your account"
    assert verify(first.token).status_code == 410
    for password in ("the password of a thief", OTHER):  # whose is which, nobody knows
        assert code_of(strict.login(ADA, password)) == "INVALID_CREDENTIALS"
    assert reset(letter.token, "lantern orbit staple").status_code == 204
    assert strict.login(ADA, "lantern orbit staple").status_code == 200
    for password in ("the password of a thief", OTHER):
        assert code_of(strict.login(ADA, password)) == "INVALID_CREDENTIALS"


def test_a_registration_between_the_owner_s_and_their_click_gives_a_thief_nothing(strict, mailbox, verify):
    strict.register(ADA, OTHER)
    strict.register(ADA, "the password of a thief")
    for letter in mailbox.letters(ADA):  # the owner tries whatever came
        verify(letter.token)
    assert code_of(strict.login(ADA, "the password of a thief")) == "INVALID_CREDENTIALS"


def test_sessions_from_before_end_when_the_password_is_chosen(calls, strict, mailbox, reset):
    before = calls.register(ADA, "the password of a thief").json["data"]
    strict.register(ADA, OTHER)
    token = mailbox.last(ADA).token
    assert calls.me(before["access_token"]).status_code == 200
    assert reset(token, "lantern orbit staple").status_code == 204
    assert calls.me(before["access_token"]).status_code == 401
    assert calls.refresh(before["refresh_token"]).status_code == 401


def test_the_letter_to_finish_comes_again_a_minute_apart_and_five_a_day(strict, mailbox, resend, reset):
    strict.register(ADA)
    strict.register(ADA, OTHER)
    for _ in range(6):
        resend()
        strict.register(ADA, OTHER)
        mailbox.letters()
        mailbox.let_pass(MINUTE)
    assert mailbox.subjects(ADA)[1:] == ["Finish making your account"] * 5
    mailbox.let_pass(DAY)
    resend()
    assert len(mailbox.letters(ADA)) == 7
    assert reset(mailbox.letters(ADA)[1].token, "lantern orbit staple").status_code == 204
    assert strict.login(ADA, "lantern orbit staple").status_code == 200


def test_where_verification_is_off_a_second_registration_changes_nothing(calls, mailbox):
    calls.register(ADA)
    assert code_of(calls.register(ADA, OTHER)) == "EMAIL_TAKEN"
    assert calls.login(ADA).status_code == 200
    assert len(mailbox.letters()) == 1


def test_a_deleted_account_s_link_leads_nowhere(api, calls, mailbox, verify):
    user = calls.register(ADA).json["data"]["user"]
    token = mailbox.last(ADA).token
    assert api.delete(f"/users/{user['id']}", by=api.admin()).status_code == 204
    assert verify(token).status_code == 410


def test_neither_token_nor_address_stands_readable_in_an_event(app, api, calls, mailbox, resend):
    calls.register(ADA)
    resend("somebody@example.com")
    api.post("/auth/password/forgot", {"email": ADA})
    letters = mailbox.letters()
    with app.app_context():
        rows = repr(db.session.execute(select(OutboxRow.__table__)).all())
        tokens = repr(db.session.execute(select(OneTimeToken.__table__)).all())
    assert "@example.com" not in rows
    for letter in letters:
        assert letter.token not in rows + tokens
