"""A forgotten password: the same for everyone who asks, one use for whoever reads the letter."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import OneTimeToken, Purpose, TotpFactor
from devforge_api.auth.service import one_time
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import encrypt
from tests.factories import PASSWORD, code_of

NEW = "staple orbit lantern"
MINUTE = timedelta(minutes=1, seconds=1)


@pytest.fixture
def forgot(api):
    return lambda email: api.post("/auth/password/forgot", {"email": email})


@pytest.fixture
def reset(api):
    return lambda token, password=NEW: api.post(
        "/auth/password/reset", {"token": token, "password": password}
    )


def test_a_letter_leads_to_a_new_password(api, calls, mailbox, ada, forgot, reset):
    assert forgot("ADA@example.com").status_code == 202
    letter = mailbox.last(ada.email)
    assert letter.subject == "Choose a new password"
    done = reset(letter.token)
    assert (done.status_code, done.data) == (204, b"")
    assert mailbox.subjects(ada.email)[1:] == ["Your password was changed"]
    assert code_of(calls.login(ada.email)) == "INVALID_CREDENTIALS"
    assert calls.login(ada.email, NEW).status_code == 200


def test_a_reset_signs_out_everywhere_and_at_once(calls, mailbox, ada, forgot, reset):
    second = calls.login(ada.email).json["data"]
    forgot(ada.email)
    assert reset(mailbox.last(ada.email).token).status_code == 204
    for access, renewal in (
        (ada.access_token, ada.refresh_token),
        (second["access_token"], second["refresh_token"]),
    ):
        assert code_of(calls.me(access)) == "TOKEN_REVOKED"
        assert code_of(calls.refresh(renewal)) == "TOKEN_REVOKED"


def test_forgetting_answers_the_same_and_asks_the_same_of_the_database(
    api, mailbox, ada, forgot, count_queries
):
    unverified = api.person(verified=False).email
    banned = api.person()
    api.ban(banned.id)
    mailbox.letters()
    seen = []
    for email in (ada.email, "nobody@example.com", unverified, banned.email):
        with count_queries() as queries:
            answer = forgot(email)
        seen.append((answer.status_code, answer.data, sorted(answer.headers.keys()), queries))
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len(seen[0][3]) == 1  # the event's row
    assert {letter.to for letter in mailbox.letters()} == {ada.email, unverified}


def test_a_link_works_once_and_garbage_costs_no_hash(mailbox, ada, forgot, reset, hash_calls):
    forgot(ada.email)
    token = mailbox.last(ada.email).token
    assert reset(token).status_code == 204
    computed = len(hash_calls)
    for wrong in (token, "x" * 43, token[:-1]):
        refused = reset(wrong)
        assert (refused.status_code, code_of(refused)) == (410, "ONE_TIME_TOKEN_INVALID")
    assert len(hash_calls) == computed


def test_of_many_resets_at_once_one_counts(calls, mailbox, ada, forgot, reset):
    passwords = [f"staple orbit lantern {number}" for number in range(6)]
    forgot(ada.email)
    token = mailbox.last(ada.email).token
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda password: reset(token, password).status_code, passwords))
    assert sorted(codes) == [204] + [410] * 5
    assert calls.login(ada.email, passwords[codes.index(204)]).status_code == 200


@pytest.mark.parametrize("password", ["short", "password", "ada ada ada devforge", "x" * 128 + "y"])
def test_a_password_that_is_refused_leaves_the_link_good(mailbox, ada, forgot, reset, password):
    forgot(ada.email)
    token = mailbox.last(ada.email).token
    assert reset(token, password).status_code == 422
    assert reset(token).status_code == 204


def test_letters_are_a_minute_apart_and_five_a_day(mailbox, ada, forgot):
    for _ in range(3):
        forgot(ada.email)
    assert len(mailbox.letters(ada.email)) == 1
    for _ in range(6):
        mailbox.let_pass(MINUTE)
        forgot(ada.email)
        mailbox.letters()
    assert len(mailbox.letters(ada.email)) == 5


def test_a_reset_ends_what_was_begun_before_it(app, mailbox, ada, forgot, reset):
    with app.app_context(), unit_of_work():
        kept = {
            purpose: one_time.issue(purpose, lifetime=timedelta(hours=1), user_id=ada.id, data={})
            for purpose in Purpose
            if purpose not in {Purpose.PROVIDER_STATE, Purpose.PROVIDER_RESULT}
        }
    forgot(ada.email)
    assert reset(mailbox.last(ada.email).token).status_code == 204
    with app.app_context():
        for token in kept.values():
            row = db.session.scalar(
                select(OneTimeToken).where(OneTimeToken.token_hash == one_time.fingerprint(token))
            )
            assert row.consumed_at is not None, row.purpose


def test_a_change_of_password_makes_links_worthless(calls, mailbox, ada, forgot, reset):
    forgot(ada.email)
    token = mailbox.last(ada.email).token
    assert calls.change_password(ada, NEW).status_code == 204
    assert reset(token, "granite velvet comet").status_code == 410


def test_reading_the_mailbox_verifies_the_address(api, calls, calls_with, mailbox, forgot, reset):
    strict = calls_with(EMAIL_VERIFICATION="required")
    strict.register("new@example.com")
    verification = mailbox.last("new@example.com")
    forgot("new@example.com")
    assert reset(mailbox.last("new@example.com").token).status_code == 204
    assert strict.login("new@example.com", NEW).json["data"]["user"]["email_verified"] is True
    assert api.post("/auth/email/verify", {"token": verification.token}).status_code == 410


def test_a_reset_still_asks_for_the_second_factor(app, calls, mailbox, ada, forgot, reset):
    with app.app_context(), unit_of_work():
        factor = TotpFactor(user_id=ada.id, secret=encrypt("JBSWY3DPEHPK3PXP"), last_step=0)
        factor.confirmed_at = factor.created_at = one_time.utc_now()
        db.session.add(factor)
    forgot(ada.email)
    done = reset(mailbox.last(ada.email).token)
    assert (done.status_code, done.data) == (204, b"")
    answer = calls.login(ada.email, NEW).json["data"]
    assert answer["mfa_required"] is True
    assert "access_token" not in answer


def test_a_reset_is_in_the_audit_trail_without_any_secret(app, mailbox, ada, forgot, reset):
    forgot(ada.email)
    reset(mailbox.last(ada.email).token)
    with app.app_context():
        rows = list(db.session.scalars(select(AuditEvent).where(AuditEvent.action == "auth.password_reset")))
    assert [(row.target_id, row.changes) for row in rows] == [(ada.id, {})]


def test_one_purpose_s_token_is_none_for_another(api, calls, mailbox, ada, forgot, reset):
    calls.register("new@example.com")
    assert reset(mailbox.last("new@example.com").token).status_code == 410
    forgot(ada.email)
    assert api.post("/auth/email/verify", {"token": mailbox.last(ada.email).token}).status_code == 410
    assert calls.login(ada.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("lifted", [False, True])
def test_a_ban_makes_the_links_of_before_worthless_for_good(api, mailbox, ada, forgot, reset, lifted):
    forgot(ada.email)
    token = mailbox.last(ada.email).token
    api.ban(ada.id)
    if lifted:
        api.deliver()
        assert api.patch(f"/users/{ada.id}", {"status": "active"}, by=api.admin()).status_code == 200
    assert code_of(reset(token)) == "ONE_TIME_TOKEN_INVALID"
