"""What a sign-in with a second factor is asked, and how guessing at it ends."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.audit.models import AuditEvent
from devforge_api.auth.models import OneTimeToken, RecoveryCode, TotpFactor
from devforge_api.auth.service.mfa import FAILURES_A_DAY
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.users import service as users
from tests.factories import PASSWORD, code_of

NEW_PASSWORD = "staple orbit lantern"


def test_a_wrong_code_leaves_the_challenge_until_the_fifth(app_of_ada, trail):
    patient, hasty = app_of_ada.challenge(), app_of_ada.challenge()
    for _ in range(4):
        assert code_of(app_of_ada.verify(patient, app_of_ada.wrong_code())) == "MFA_CODE_INVALID"
    assert app_of_ada.verify(patient, app_of_ada.code()).status_code == 200
    for _ in range(5):
        assert code_of(app_of_ada.verify(hasty, app_of_ada.wrong_code())) == "MFA_CODE_INVALID"
    dead = app_of_ada.verify(hasty, app_of_ada.code())
    assert (dead.status_code, code_of(dead)) == (401, "MFA_CHALLENGE_INVALID")
    assert trail("auth.mfa_failed") == ["auth.mfa_failed"] * 9


def test_a_challenge_works_once(app_of_ada):
    challenge = app_of_ada.challenge()
    assert app_of_ada.verify(challenge, app_of_ada.code()).status_code == 200
    for code in (app_of_ada.code(), app_of_ada.recovery_codes[0]):
        assert code_of(app_of_ada.verify(challenge, code)) == "MFA_CHALLENGE_INVALID"
    assert app_of_ada.verify(app_of_ada.challenge(), app_of_ada.recovery_codes[0]).status_code == 200


def test_a_challenge_expires_and_a_foreign_one_is_none(app, app_of_ada):
    challenge = app_of_ada.challenge()
    with app.app_context(), unit_of_work():
        db.session.execute(update(OneTimeToken).values(expires_at=utc_now() - timedelta(seconds=1)))
    for token in (challenge, "x" * 43, "é"):
        refused = app_of_ada.verify(token, app_of_ada.code())
        assert (refused.status_code, code_of(refused)) == (401, "MFA_CHALLENGE_INVALID")


def new_password(api, calls, who):
    assert calls.change_password(who, NEW_PASSWORD).status_code == 204


def change(**values):
    def apply(api, calls, who):
        with api.app.app_context(), unit_of_work():
            users.update_user(users.get_user(who.id, for_update=True), values)

    return apply


def password_set_elsewhere(api, calls, who):
    with api.app.app_context(), unit_of_work():
        users.set_password(users.get_user(who.id, for_update=True), "another hash")


@pytest.mark.parametrize(
    "deed",
    [new_password, password_set_elsewhere, change(role=users.Role.DEVELOPER)],
    ids=["password changed", "password set elsewhere", "role changed"],
)
def test_what_changes_the_account_voids_its_open_challenges(api, calls, ada, app_of_ada, deed):
    challenge = app_of_ada.challenge()
    deed(api, calls, ada)
    for code in (app_of_ada.code(), app_of_ada.recovery_codes[0]):
        assert code_of(app_of_ada.verify(challenge, code)) == "MFA_CHALLENGE_INVALID"


def test_a_ban_voids_open_challenges_also_once_it_is_lifted(api, calls, ada, app_of_ada):
    challenge = app_of_ada.challenge()
    change(status=users.UserStatus.DISABLED)(api, calls, ada)
    assert app_of_ada.verify(challenge, app_of_ada.code()).status_code == 401
    change(status=users.UserStatus.ACTIVE)(api, calls, ada)
    assert code_of(app_of_ada.verify(challenge, app_of_ada.code())) == "MFA_CHALLENGE_INVALID"


def test_a_deleted_accounts_challenge_is_none(api, ada, app_of_ada):
    challenge = app_of_ada.challenge()
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    assert code_of(app_of_ada.verify(challenge, app_of_ada.recovery_codes[0])) == "MFA_CHALLENGE_INVALID"


def test_a_new_password_still_asks_for_the_code(api, calls, ada, app_of_ada):
    new_password(api, calls, ada)
    assert calls.login(ada.email, NEW_PASSWORD).json["data"]["mfa_required"] is True


def test_an_address_that_must_be_verified_again_is_asked_for_before_the_code_counts(
    app, calls_with, api, ada, app_of_ada
):
    challenge, code = app_of_ada.challenge(), app_of_ada.code()
    with app.app_context(), unit_of_work():
        users.update_user(users.get_user(ada.id, for_update=True), {"email_verified": False})
    strict = calls_with(EMAIL_VERIFICATION="required").api
    refused = strict.post("/auth/mfa/verify", {"challenge_token": challenge, "code": code})
    assert (refused.status_code, code_of(refused)) == (403, "EMAIL_NOT_VERIFIED")
    assert app_of_ada.verify(challenge, code).status_code == 200


# --- guessing -----------------------------------------------------------------------------------


def test_failures_count_across_challenges_and_spare_recovery_codes_and_open_sessions(
    api, calls, ada, app_of_ada
):
    for _ in range(2):
        challenge = app_of_ada.challenge()
        for _ in range(5):
            assert app_of_ada.verify(challenge, app_of_ada.wrong_code()).status_code == 401
    challenge = app_of_ada.challenge()
    refused = app_of_ada.verify(challenge, app_of_ada.code())
    assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) >= 1
    # The owner's ways: the open session, and a code that nobody guesses.
    assert calls.me(ada.access_token).status_code == 200
    assert api.post("/auth/reauth", {"password": PASSWORD}, by=ada).status_code == 204
    assert app_of_ada.verify(challenge, app_of_ada.recovery_codes[0]).status_code == 200


def test_a_right_code_clears_the_minutes_count(app_of_ada):
    for _ in range(3):
        challenge = app_of_ada.challenge()
        for _ in range(4):
            assert app_of_ada.verify(challenge, app_of_ada.wrong_code()).status_code == 401
        assert app_of_ada.verify(challenge, app_of_ada.code()).status_code == 200


def failed(app, user_id, at, count):
    with app.app_context(), unit_of_work():
        db.session.add_all(
            AuditEvent(
                actor_kind="anonymous", action="auth.mfa_failed", target_type="user", target_id=user_id,
                request_id="test-request", created_at=at,
            )
            for _ in range(count)
        )  # fmt: skip


def test_who_guesses_slowly_is_stopped_for_the_rest_of_the_day(app, api, calls, ada, app_of_ada):
    now = utc_now()
    failed(app, ada.id, now - timedelta(hours=25), FAILURES_A_DAY)
    failed(app, ada.id, now, FAILURES_A_DAY - 1)
    assert app_of_ada.verify(app_of_ada.challenge(), app_of_ada.code()).status_code == 200
    failed(app, ada.id, now, 1)
    refused = app_of_ada.verify(app_of_ada.challenge(), app_of_ada.code())
    assert code_of(refused) == "RATE_LIMITED"
    assert 86_000 < int(refused.headers["Retry-After"]) <= 86_401
    assert app_of_ada.verify(app_of_ada.challenge(), app_of_ada.recovery_codes[0]).status_code == 200
    new_password(api, calls, ada)  # whoever guessed has lost the first factor
    challenge = calls.login(ada.email, NEW_PASSWORD).json["data"]["challenge_token"]
    assert app_of_ada.verify(challenge, app_of_ada.code()).status_code == 200


def test_while_redis_is_away_no_guess_goes_uncounted(calls_with, app_of_ada):
    challenge, code = app_of_ada.challenge(), app_of_ada.code()
    lonely = calls_with(REDIS_URL="redis://127.0.0.1:1/0").api
    refused = lonely.post("/auth/mfa/verify", {"challenge_token": challenge, "code": code})
    assert (refused.status_code, code_of(refused)) == (503, "SERVICE_UNAVAILABLE")


def test_the_owner_sees_what_happened_to_the_second_factor(api, ada, app_of_ada):
    challenge = app_of_ada.challenge()
    app_of_ada.verify(challenge, app_of_ada.wrong_code())
    app_of_ada.verify(challenge, app_of_ada.recovery_codes[0])
    seen = [one["action"] for one in api.get("/auth/activity", by=ada).json["data"]]
    assert seen[:4] == ["auth.signed_in", "auth.recovery_code_used", "auth.mfa_failed", "auth.mfa_enabled"]


def test_what_it_costs_in_queries(calls, ada, count_queries, authenticator):
    calls.login(ada.email)  # what is prepared once
    with count_queries() as without:
        assert "access_token" in calls.login(ada.email).json["data"]
    phone = authenticator(ada)
    code = phone.code()
    with count_queries() as first:
        challenge = phone.challenge()
    with count_queries() as second:
        assert phone.verify(challenge, code).status_code == 200
    assert (len(without), len(first), len(second)) == (6, 4, 11)


def test_the_factor_goes_with_its_account(app, api, ada, app_of_ada):
    assert api.delete(f"/users/{ada.id}", by=api.admin()).status_code == 204
    with app.app_context():
        for model in (TotpFactor, RecoveryCode):
            assert db.session.scalar(select(func.count()).select_from(model)) == 0
