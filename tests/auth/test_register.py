from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.users.models import User
from tests.factories import PASSWORD, code_of


@pytest.fixture
def user_count(app):
    def count():
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(User))

    return count


def test_registering_signs_the_new_user_in(api, calls):
    made = calls.register("ada@example.com", name="Ada", device_name="Laptop")
    data = made.json["data"]
    assert made.status_code == 201
    assert set(data) == {
        "access_token", "refresh_token", "token_type", "expires_in", "user", "device_token",
    }  # fmt: skip
    assert (data["token_type"], data["expires_in"]) == ("Bearer", 900)
    assert data["user"]["email"] == "ada@example.com"
    assert data["user"]["name"] == "Ada"
    assert (data["user"]["role"], data["user"]["status"]) == ("user", "active")
    assert data["user"]["email_verified"] is False
    assert calls.me(data["access_token"]).json["data"] == data["user"]


def test_answers_with_tokens_are_stored_and_compressed_by_nobody(calls):
    answer = calls.register()
    again = calls.login("new@example.com", headers={"Accept-Encoding": "gzip, br"})
    for response in (answer, again):
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@example.com", "ADA@Example.COM"),
        ("straße@example.com", "STRASSE@example.com"),
        ("caf\u00e9@example.com", "cafe\u0301@example.com"),
        ("CAFE\u0301@example.com", "caf\u00e9@example.com"),
        ("ada@example.com", "  ada@example.com "),
    ],
)
def test_an_address_is_taken_however_it_is_written(calls, user_count, first, second):
    assert calls.register(first).status_code == 201
    refused = calls.register(second)
    assert (refused.status_code, code_of(refused)) == (409, "EMAIL_TAKEN")
    assert refused.json["error"]["field"] == "email"
    assert calls.login(second).status_code == 200
    assert user_count() == 1


def test_one_address_registered_many_times_at_once_makes_one_account(calls, user_count):
    spellings = ["ada@example.com", "ADA@example.com"] * 5
    with ThreadPoolExecutor(10) as pool:
        codes = sorted(answer.status_code for answer in pool.map(calls.register, spellings))
    assert codes == [201] + [409] * 9
    assert user_count() == 1


def test_with_verification_required_nobody_learns_whether_an_address_is_known(
    calls_with, hash_calls, user_count
):
    calls = calls_with(EMAIL_VERIFICATION="required")
    new = calls.register("ada@example.com")
    computed = list(hash_calls)
    taken = calls.register("ADA@example.com", "another good password")
    assert (new.status_code, taken.status_code) == (202, 202)
    assert new.data == taken.data
    assert set(new.headers.keys()) == set(taken.headers.keys())
    assert hash_calls == computed * 2 == ["hash", "hash"]
    assert user_count() == 1


def test_with_verification_required_sign_in_waits_for_it(api, calls_with, app):
    calls = calls_with(EMAIL_VERIFICATION="required")
    calls.register("ada@example.com")
    wrong = calls.login("ada@example.com", "not the password")
    assert (wrong.status_code, code_of(wrong)) == (401, "INVALID_CREDENTIALS")
    refused = calls.login("ada@example.com")
    assert (refused.status_code, code_of(refused)) == (403, "EMAIL_NOT_VERIFIED")
    user = api.get("/users?email=ada@example.com", by=api.admin()).json["data"][0]
    api.patch(f"/users/{user['id']}", {"email_verified": True}, by=api.admin())
    assert calls.login("ada@example.com").status_code == 200


@pytest.mark.parametrize("field", ["role", "status", "email_verified", "id", "settings", "token_version"])
def test_nobody_gives_themselves_what_register_does_not_offer(calls, user_count, field):
    refused = calls.register(**{field: "admin"})
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    assert refused.json["error"]["details"] == [
        {"field": field, "code": "UNKNOWN_FIELD", "message": "Unknown field."}
    ]
    assert user_count() == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ada@example.com"},
        {"password": PASSWORD},
        {"email": "not an address", "password": PASSWORD},
        {"email": "a" * 250 + "@example.com", "password": PASSWORD},
        {"email": "a" * 50_000 + "@example.com", "password": PASSWORD},
        {"email": ["ada@example.com"], "password": PASSWORD},
        {"email": "ada@example.com", "password": 12345678901},
        {"email": "ada@example.com", "password": PASSWORD, "name": "n" * 101},
        {"email": "ada@example.com", "password": PASSWORD, "device_name": "n" * 101},
    ],
)
def test_incomplete_and_oversized_values_are_refused_without_hashing(api, hash_calls, user_count, body):
    assert api.post("/auth/register", body).status_code == 422
    assert hash_calls == []
    assert user_count() == 0
