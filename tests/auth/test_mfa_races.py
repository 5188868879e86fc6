"""What must hold when a second factor is answered, or set up, twice at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyotp
import pytest
from sqlalchemy import select

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import OneTimeToken, RecoveryCode
from devforge_api.core.db import db
from tests.factories import code_of

ROUNDS = 4


@pytest.fixture
def together(app):
    """Run some calls at the same time; gives their answers in order."""
    with ThreadPoolExecutor(20) as pool:

        def run(*calls):
            return [future.result() for future in [pool.submit(call) for call in calls]]

        yield run


@pytest.fixture
def phone(api, authenticator):
    return authenticator(api.person())


def outcome(answer):
    return 200 if answer.status_code == 200 else code_of(answer)


@pytest.mark.parametrize("kind", ["app", "recovery code"])
def test_a_code_used_twice_at_once_opens_one_session(api, phone, together, kind):
    for number in range(ROUNDS):
        first, second = phone.challenge(), phone.challenge()
        code = phone.code() if kind == "app" else phone.recovery_codes[number]
        same = together(partial(phone.verify, first, code), partial(phone.verify, first, code))
        assert sorted(map(str, map(outcome, same))) == ["200", "MFA_CHALLENGE_INVALID"]
        code = phone.code() if kind == "app" else phone.recovery_codes[-1 - number]
        third = phone.challenge()
        different = together(partial(phone.verify, second, code), partial(phone.verify, third, code))
        assert sorted(map(str, map(outcome, different))) == ["200", "MFA_CODE_INVALID"]
    listed = api.get("/auth/sessions", by=phone.person).json["pagination"]["total"]
    assert listed == 1 + 2 * ROUNDS


def test_of_twenty_wrong_guesses_at_once_five_count_and_the_challenge_is_dead(
    app, calls_with, phone, together
):
    api = calls_with(LIMIT_ACCOUNT_FAILURES=1000).api  # what holds is the challenge's own count
    challenge, wrong = phone.challenge(), phone.wrong_code()
    guess = partial(api.post, "/auth/mfa/verify", {"challenge_token": challenge, "code": wrong})
    outcomes = [outcome(answer) for answer in together(*[guess] * 20)]
    assert sorted(outcomes) == ["MFA_CHALLENGE_INVALID"] * 15 + ["MFA_CODE_INVALID"] * 5
    assert outcome(phone.verify(challenge, phone.code())) == "MFA_CHALLENGE_INVALID"
    with app.app_context():
        assert db.session.scalars(select(OneTimeToken.failures)).all() == [5]
        actions = db.session.scalars(select(AuditEvent.action)).all()
    assert actions.count("auth.mfa_failed") == 5


def test_guesses_at_once_for_many_challenges_are_counted_before_they_are_checked(phone, together):
    challenges, wrong = [phone.challenge() for _ in range(20)], phone.wrong_code()
    outcomes = [outcome(a) for a in together(*(partial(phone.verify, one, wrong) for one in challenges))]
    assert (outcomes.count("MFA_CODE_INVALID"), outcomes.count("RATE_LIMITED")) == (10, 10)


def test_confirming_twice_at_once_gives_one_set_of_codes(app, api, together):
    for _ in range(ROUNDS):
        who = api.reauthenticated(api.person())
        secret = api.post("/auth/mfa/totp", by=who).json["data"]["secret"]
        confirm = partial(api.post, "/auth/mfa/totp/confirm", {"code": pyotp.TOTP(secret).now()}, by=who)
        outcomes = sorted(str(outcome(answer)) for answer in together(confirm, confirm))
        assert outcomes == ["200", "MFA_ALREADY_ENABLED"]
        with app.app_context():
            codes = db.session.scalars(select(RecoveryCode.id).where(RecoveryCode.user_id == who.id)).all()
        assert len(codes) == 10


def test_enrolling_twice_at_once_leaves_the_later_secret(api, together):
    for _ in range(ROUNDS):
        who = api.reauthenticated(api.person())
        enrol = partial(api.post, "/auth/mfa/totp", by=who)
        secrets = [answer.json["data"]["secret"] for answer in together(enrol, enrol)]
        accepted = [
            api.post("/auth/mfa/totp/confirm", {"code": pyotp.TOTP(secret).now()}, by=who).status_code
            for secret in secrets
        ]
        assert accepted in ([200, 409], [401, 200])


def test_answering_while_the_factor_is_removed_ends_one_way_or_the_other(api, authenticator, together):
    for _ in range(ROUNDS):
        phone = authenticator(api.person())
        challenge, code = phone.challenge(), phone.code()
        api.reauthenticated(phone.person)
        verified, removed = together(
            partial(phone.verify, challenge, code), partial(api.delete, "/auth/mfa/totp", by=phone.person)
        )
        assert removed.status_code == 204
        assert outcome(verified) in {200, "MFA_CHALLENGE_INVALID"}


def test_answering_while_the_password_changes_leaves_no_usable_token(api, calls, authenticator, together):
    for _ in range(ROUNDS):
        phone = authenticator(api.person())
        challenge, code = phone.challenge(), phone.code()
        verified, changed = together(
            partial(phone.verify, challenge, code),
            partial(calls.change_password, phone.person, "staple orbit lantern"),
        )
        assert changed.status_code == 204
        assert outcome(verified) in {200, "MFA_CHALLENGE_INVALID"}
        if verified.status_code == 200:
            assert calls.me(verified.json["data"]["access_token"]).status_code == 401
