from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from devforge_api.audit.models import AuditEvent
from devforge_api.core.db import db, unit_of_work
from devforge_api.users.models import User
from tests.factories import PASSWORD, code_of


def headers_that_vary(response) -> dict[str, str]:
    return {
        name: value for name, value in response.headers if name not in {"X-Request-ID", "RateLimit-Reset"}
    }


def test_signing_in_answers_tokens_and_the_user(api, calls, ada):
    answer = calls.login("ADA@example.com")
    data = answer.json["data"]
    assert answer.status_code == 200
    assert set(data) == {
        "access_token", "refresh_token", "token_type", "expires_in", "user", "device_token",
    }  # fmt: skip
    assert data["user"]["id"] == str(ada.id)
    assert data["user"]["last_login"] is not None
    assert calls.me(data["access_token"]).json["data"] == data["user"]


def test_signing_in_is_no_edit_of_the_account(app, calls, ada):
    def stamp():
        with app.app_context():
            user = db.session.get_one(User, ada.id)
            return user.version, user.updated_at

    before = stamp()
    assert calls.login(ada.email).status_code == 200
    assert stamp() == before


def test_unknown_address_and_wrong_password_cannot_be_told_apart(api, calls, ada, hash_calls):
    wrong = calls.login(ada.email, "not the password")
    assert hash_calls == ["verify"]
    elsewhere = {"REMOTE_ADDR": "203.0.113.7"}  # so that both are the first of their address
    unknown = calls.login("nobody@example.com", "not the password", environ_base=elsewhere)
    assert hash_calls == ["verify", "verify"]
    assert (wrong.status_code, code_of(wrong)) == (401, "INVALID_CREDENTIALS")
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")
    assert headers_that_vary(wrong) == headers_that_vary(unknown)
    errors = [{**answer.json["error"], "request_id": None} for answer in (wrong, unknown)]
    assert errors[0] == errors[1]


def test_an_account_without_password_looks_like_a_wrong_one(app, api, calls, hash_calls):
    api.post("/users", {"email": "grace@example.com"}, by=api.admin())
    refused = calls.login("grace@example.com", "not the password")
    assert (refused.status_code, code_of(refused)) == (401, "INVALID_CREDENTIALS")
    assert hash_calls[-1:] == ["verify"]


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_after_ten_failures_an_account_is_refused_before_hashing(calls, ada, hash_calls, email):
    for _ in range(10):
        assert calls.login(email, "not the password").status_code == 401
    computed = len(hash_calls)
    for spelling in (email, email.upper()):
        refused = calls.login(spelling)
        assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
        assert int(refused.headers["Retry-After"]) >= 1
    assert len(hash_calls) == computed == 10
    assert calls.login("somebody.else@example.com").status_code == 401


def test_failures_at_once_are_counted_before_they_are_checked(calls, ada):
    with ThreadPoolExecutor(12) as pool:
        codes = [a.status_code for a in pool.map(lambda _: calls.login(ada.email, "wrong one"), range(24))]
    assert (codes.count(401), codes.count(429)) == (10, 14)


def test_success_clears_the_count(calls, ada):
    for _ in range(3):
        for _ in range(9):
            assert calls.login(ada.email, "not the password").status_code == 401
        assert calls.login(ada.email).status_code == 200


def test_headers_do_not_tell_strangers_that_the_owner_has_signed_in(calls, ada):
    before = calls.login(ada.email, "not the password")
    calls.login(ada.email)
    after = calls.login(ada.email, "not the password")
    assert before.headers["RateLimit-Limit"] == after.headers["RateLimit-Limit"] == "1000000"
    told = [int(answer.headers["RateLimit-Remaining"]) for answer in (before, after)]
    assert told[0] > told[1] > 100  # of the address, and its own requests alone


def test_while_redis_is_away_no_guess_goes_uncounted(calls_with, ada, hash_calls):
    calls = calls_with(REDIS_URL="redis://127.0.0.1:1/0")
    for answer in (calls.login(ada.email), calls.register()):
        assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
    assert hash_calls == []
    assert calls.me(ada.access_token).status_code == 200
    assert calls.refresh(ada.refresh_token).status_code == 200
    assert calls.api.post("/auth/logout", by=ada).status_code == 204
    assert calls.me(ada.access_token).status_code == 401


def test_guessing_through_password_change_is_counted_too(api, calls, ada, hash_calls):
    for _ in range(10):
        refused = calls.change_password(ada, "another good password", current="not the password")
        assert (refused.status_code, code_of(refused)) == (401, "INVALID_CREDENTIALS")
    computed = len(hash_calls)
    assert calls.change_password(ada, "another good password").status_code == 429
    assert len(hash_calls) == computed


def test_the_credential_limit_is_charged_by_invalid_bodies_too(calls_with, ada, hash_calls):
    calls = calls_with(LIMIT_CREDENTIALS=4)
    address = {"environ_base": {"REMOTE_ADDR": "203.0.113.7"}}
    answers = [
        calls.api.post("/auth/login", {"email": 1}, **address),
        calls.api.call("POST", "/auth/login", data=b"{", content_type="application/json", **address),
        calls.api.call("POST", "/auth/register", data=b"x", content_type="text/plain", **address),
        calls.login("nobody@example.com", **address),
    ]
    assert [answer.status_code for answer in answers] == [422, 400, 415, 401]
    refused = calls.login(ada.email, **address)
    assert (refused.status_code, code_of(refused)) == (429, "RATE_LIMITED")
    assert hash_calls == ["verify"]
    assert calls.login(ada.email, environ_base={"REMOTE_ADDR": "203.0.113.8"}).status_code == 200


def test_a_disabled_account_is_told_so_only_with_the_right_password(api, calls, ada):
    api.ban(ada.id)
    wrong = calls.login(ada.email, "not the password")
    assert (wrong.status_code, code_of(wrong)) == (401, "INVALID_CREDENTIALS")
    right = calls.login(ada.email)
    assert (right.status_code, code_of(right)) == (403, "ACCOUNT_DISABLED")


@pytest.fixture
def weaker_hash(app, ada):
    """Ada's password, hashed with the parameters of yesterday."""
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with app.app_context(), unit_of_work():
        db.session.execute(update(User).where(User.id == ada.id).values(password_hash=weak))
    return weak


@pytest.fixture
def stored_hash(app, ada):
    def read():
        with app.app_context():
            return db.session.scalar(select(User.password_hash).where(User.id == ada.id))

    return read


def test_a_hash_of_weaker_parameters_is_renewed_by_signing_in(calls, ada, weaker_hash, stored_hash):
    assert calls.login(ada.email, "not the password").status_code == 401
    assert stored_hash() == weaker_hash
    assert calls.login(ada.email).status_code == 200
    renewed = stored_hash()
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert calls.login(ada.email).status_code == 200
    assert stored_hash() == renewed


def test_signing_in_twice_at_once_works_while_the_hash_is_renewed(calls, ada, weaker_hash):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: calls.login(ada.email), range(6)))
    assert {answer.status_code for answer in answers} == {200}


def test_failures_are_in_the_audit_trail_without_the_address_that_was_tried(app, api, calls, ada):
    calls.login(ada.email, "not the password")
    calls.login("nobody@example.com", "not the password")
    calls.change_password(ada, "another good password", current="not the password")
    with app.app_context():
        rows = db.session.execute(
            select(AuditEvent.action, AuditEvent.target_id, AuditEvent.changes)
            .where(AuditEvent.action.like("%_failed"))
            .order_by(AuditEvent.id)
        ).all()
    assert rows == [
        ("auth.sign_in_failed", ada.id, {"method": [None, "password"]}),
        ("auth.sign_in_failed", None, {"method": [None, "password"]}),
        ("auth.password_change_failed", ada.id, {"method": [None, "password"]}),
    ]
