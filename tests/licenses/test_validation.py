"""What validation reads, refuses, gives back, and never does."""

from datetime import UTC, datetime, timedelta

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import License, LicenseUser, RetiredKey
from devforge_api.licenses.service.keys import hash_key
from tests.factories import code_of

UNKNOWN = "DF-00000-00000-00000-00000-000000"


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
        ({"entitlements": ["e"] * 101}, "entitlements"),
        ({"components": [None]}, "components.0"),
        ({"components": ["ok", ""]}, "components.1"),
        ({"components": ["c" * 256]}, "components.0"),
        ({"components": ["c"] * 21}, "components"),
        ({"components": {"board": "c"}}, "components"),
        ({"components": None}, "components"),
        ({"version": None}, "version"),
        ({"version": ""}, "version"),
        ({"version": " "}, "version"),
        ({"version": "1.0\n"}, "version"),
        ({"version": "9" * 65}, "version"),
        ({"version": 1.4}, "version"),
        ({"product": ""}, "product"),
        ({"product": 5}, "product"),
        ({"product": " "}, "product"),
        ({"fingerprint": " \t"}, "fingerprint"),  # else all machines whose hash is lacking would be one
        ({"fingerprints": ["m1", "\u2003"]}, "fingerprints.1"),
        ({"components": [" "]}, "components.0"),
        ({"entitlements": ["\n"]}, "entitlements.0"),
        ({"nonce": "n" * 257}, "nonce"),
        ({"user_id": "me"}, "user_id"),
        ({"policy_id": 1}, "policy_id"),
        ({"nonce": {"a": 1}}, "nonce"),
        ({"unknown": 1}, "unknown"),
        ({"explain": True}, "explain"),  # belongs to the query
    ],
)
def test_a_malformed_scope_is_refused_by_its_field(api, scope, field):
    answer = api.post("/licenses/validate", {"key": api.license().key, **scope})
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == field


@pytest.mark.parametrize("name", ["key", "fingerprint", "product", "version", "nonce"])
def test_text_that_cannot_be_stored_is_malformed(api, name):
    key = api.license().key
    body = {"key": key, name: "a\0b"}
    answer = api.post("/licenses/validate", body)
    assert (answer.status_code, code_of(answer)) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "query", ["explain=yes", "explain=1", "explain=", "explain=true&other=1", "fields=valid", "other=1"]
)
def test_an_undeclared_query_is_refused(api, query):
    answer = api.post(f"/licenses/validate?{query}", {"key": api.license().key})
    assert (answer.status_code, code_of(answer)) == (422, "VALIDATION_ERROR")


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


def test_the_answer_tells_limits_deadlines_and_what_a_replaced_key_is_worth(api, app, verdict, edit):
    terms = {"max_cores": 16, "max_users": 5, "max_uses": 100, "require_heartbeat": True, "check_in_days": 7}
    license_ = api.license(owner=api.person(), policy={**terms, "trial": True, "duration_days": 30})
    due = datetime(2031, 1, 2, tzinfo=UTC)
    edit("license", license_.id, core_count=4, user_count=2, uses=7, check_in_due_at=due)
    shown = verdict(license_)["license"]
    expected = {"max_cores": 16, "core_count": 4, "max_users": 5, "user_count": 3, "max_uses": 100, "uses": 7}
    assert {name: shown[name] for name in expected} == expected
    assert (shown["check_in_due_at"], shown["key_valid_until"]) == ("2031-01-02T00:00:00Z", None)
    assert (shown["heartbeat_seconds"], shown["trial"]) == (600, True)
    for until, code in [(due, "VALID"), (utc_now() - timedelta(seconds=1), "NOT_FOUND")]:
        with app.app_context(), unit_of_work():
            old = f"DF-OLD-{code}"
            db.session.add(RetiredKey(key_hash=hash_key(old), license_id=license_.id, valid_until=until))
        answer = verdict(old)
        assert answer["code"] == code
        if code == "VALID":
            assert answer["license"]["key_valid_until"] == "2031-01-02T00:00:00Z"
    plain = verdict(api.license())["license"]
    absent = ("max_cores", "max_users", "max_uses", "check_in_due_at", "heartbeat_seconds")
    assert {plain[name] for name in absent} == {None}
    assert (plain["user_count"], plain["trial"]) == (0, False)  # nobody owns it


@pytest.mark.parametrize(
    ("asked", "queries"),
    [
        ({}, 1),
        ({"fingerprint": "m1", "entitlements": ["x"], "product": "y"}, 1),
        ({"key": "unknown"}, 1),
        ({"fingerprints": ["m1", "m2"]}, 2),
        ({"fingerprint": "m1", "version": "1.0"}, 2),
        ({"fingerprint": "m1", "components": ["board"]}, 2),
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


def test_an_explanation_costs_a_statement_more_where_its_remedy_holds_something(api, count_queries, seat):
    full = api.license(policy={"max_machines": 1})
    seat(full, "m1")
    expired = api.license(expires_at=utc_now())
    for license_, scope, statements in [
        (full, {}, 1),
        (full, {"product": "x", "entitlements": ["y"]}, 1),
        (full, {"fingerprint": "m2"}, 2),  # the machines
        (expired, {}, 2),  # the link
        (expired, {"version": "1.0"}, 5),  # the version in question, the newest one, the link twice
    ]:
        body = {"key": license_.key, **scope}
        api.post("/licenses/validate?explain=true", body)
        with count_queries() as seen:
            api.post("/licenses/validate?explain=true", body)
        assert len(seen) == statements, seen
    assert all(statement.startswith("SELECT") and "FOR UPDATE" not in statement for statement in seen)


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["fingerprint"],
        ["fingerprints", "product"],
        ["user_id", "components", "version"],
        ["fingerprints", "components", "version", "user_id"],
    ],
)
def test_an_unknown_key_costs_what_a_known_and_valid_one_costs(
    app, api, count_queries, redis_commands, seat, asked
):
    license_, user = api.license(owner=api.person()), api.person()
    for fingerprint in ("m1", "m2"):
        seat(license_, fingerprint, components=("board",))
    api.release(license_.product_id, "1.0")
    with app.app_context(), unit_of_work():
        db.session.add(LicenseUser(license_id=license_.id, user_id=user.id))
    whole = {
        "fingerprint": "m1",
        "fingerprints": ["m1", "m2"],
        "product": str(license_.product_id),
        "user_id": str(user.id),
        "components": ["board"],
        "version": "1.0",
    }
    scope = {name: whole[name] for name in asked}
    costs = []
    for key in (license_.key, UNKNOWN) * 2:
        redis_commands.clear()
        with count_queries() as seen:
            answer = api.post("/licenses/validate", {"key": key, **scope})
        assert answer.json["data"]["code"] == ("NOT_FOUND" if key == UNKNOWN else "VALID")
        tables = [statement.split("FROM ")[1].split()[0] for statement in seen]
        costs.append((tables, list(redis_commands)))
    assert costs[2] == costs[3]  # the first two may have made what is made once
    assert len(costs[2][0]) >= 1
    assert costs[2][1] == (["EVALSHA"] if app.config["REDIS_URL"] else [])


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


@pytest.mark.parametrize("call", ["activate", "ensure", "heartbeat", "deactivate"])
def test_a_blank_fingerprint_is_no_machine(api, call):
    body = {"key": api.license().key, "fingerprint": "  "}
    answer = api.post(f"/licenses/{call}", body)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "fingerprint")
