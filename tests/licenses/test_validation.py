"""What validation reads, refuses, gives back, and never does."""

import pytest

from devforge_api.core.db import db
from devforge_api.licenses.models import License
from tests.factories import code_of


@pytest.mark.parametrize("key", ["", " ", "\t\n ", None, 5, "x" * 513, ["DF"]])
def test_a_key_that_cannot_be_one_is_malformed(api, key):
    answer = api.post("/licenses/validate", {"key": key})
    assert (answer.status_code, code_of(answer)) == (422, "VALIDATION_ERROR")
    assert answer.json["error"]["field"] == "key"


def test_a_missing_key_is_malformed(api):
    assert api.post("/licenses/validate", {}).status_code == 422


@pytest.mark.parametrize("key", ["DF-00000-00000-00000-00000-000000", "x", "x" * 512, "ключ 🔑", "'; --"])
def test_any_other_key_is_looked_up_and_not_found(verdict, key):
    answer = verdict(key, nonce="n-1")
    assert answer.pop("ts").endswith("Z")
    assert answer == {
        "valid": False,
        "code": "NOT_FOUND",
        "detail": "The licence does not exist.",
        "license": None,
        "nonce": "n-1",
    }


def test_spaces_around_a_pasted_key_do_not_matter(api, verdict):
    assert verdict(f"  {api.license().key}\n")["code"] == "VALID"


def test_the_nonce_comes_back_only_if_it_was_sent(api, verdict):
    license_ = api.license()
    assert verdict(license_, nonce="n-0S6_WzA2Mj")["nonce"] == "n-0S6_WzA2Mj"
    assert verdict(license_, nonce="x", fingerprints=[])["nonce"] == "x"
    assert "nonce" not in verdict(license_)


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({"fingerprints": [None]}, "fingerprints.0"),
        ({"fingerprints": ["m"] * 21}, "fingerprints"),
        ({"fingerprints": [""]}, "fingerprints.0"),
        ({"fingerprints": "m1"}, "fingerprints"),
        ({"fingerprint": None}, "fingerprint"),
        ({"fingerprint": "m" * 256}, "fingerprint"),
        ({"fingerprint": "m", "fingerprints": ["m"]}, "fingerprints"),
        ({"entitlements": [None]}, "entitlements.0"),
        ({"user_id": "me"}, "user_id"),
        ({"policy_id": 1}, "policy_id"),
        ({"nonce": {"a": 1}}, "nonce"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_malformed_scope_is_refused_by_its_field(api, scope, field):
    answer = api.post("/licenses/validate", {"key": api.license().key, **scope})
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == field


def test_the_answer_describes_the_licence_and_hides_the_key(api, activate):
    license_ = api.license(policy={"name": "enterprise", "max_machines": 5}, metadata={"seats": "five"})
    activate(license_, "m1")
    response = api.post("/licenses/validate", {"key": license_.key})
    shown = response.json["data"]["license"]
    assert shown["id"] == str(license_.id)
    assert (shown["tier"], shown["status"], shown["max_machines"]) == ("enterprise", "active", 5)
    assert (shown["machine_count"], shown["expires_at"], shown["entitlements"]) == (1, None, [])
    assert shown["metadata"] == {"seats": "five"}
    assert license_.key not in response.text


@pytest.mark.parametrize(
    ("asked", "queries"),
    [
        ({}, 1),
        ({"fingerprint": "m1", "entitlements": ["x"], "product": "y"}, 1),
        ({"key": "unknown"}, 1),
        ({"fingerprints": ["m1", "m2"]}, 2),
    ],
)
def test_validation_is_one_query_and_writes_nothing(api, count_queries, activate, asked, queries):
    license_ = api.license(owner=api.person())
    activate(license_, "m1")
    api.post("/licenses/validate", {"key": license_.key})  # whatever is made once
    with count_queries() as seen:
        api.post("/licenses/validate", {"key": license_.key} | asked)
    assert len(seen) == queries
    for statement in seen:
        assert statement.startswith("SELECT")
        assert "FOR UPDATE" not in statement


def test_validation_does_not_wait_for_a_locked_licence(api, app, verdict, on_postgresql):
    license_ = api.license()
    with app.app_context(), db.engine.begin() as connection:
        statement = db.select(License.id).where(License.id == license_.id)
        connection.execute(statement.with_for_update() if on_postgresql else statement)
        assert verdict(license_)["code"] == "VALID"


def test_a_signed_in_caller_and_a_bad_token_make_no_difference(api):
    body = {"key": api.license().key}
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        assert api.post("/licenses/validate", body, headers=headers).json["data"]["code"] == "VALID"
