"""Issuing: to whom, for how long, and what waits for whom."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.users import service as users
from tests.factories import code_of


def verify(api, person):
    """The address is proven, and every event about that delivered."""
    with api.app.app_context(), unit_of_work():
        users.verify_email(users.get_user(person.id, for_update=True))
    api.deliver()


def test_an_admin_issues_a_licence_to_a_user(api, verdict):
    admin, owner = api.admin(), api.person()
    policy_id = api.policy(name="pro", max_machines=3)
    body = {"policy_id": str(policy_id), "user_id": str(owner.id), "metadata": {"order": 7}}
    answer = api.post("/licenses", body, by=admin)
    data = answer.json["data"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/licenses/{data['id']}"
    assert (data["user_id"], data["tier"], data["status"]) == (str(owner.id), "pro", "active")
    assert (data["max_machines"], data["machine_count"], data["expires_at"]) == (3, 0, None)
    assert data["metadata"] == {"order": 7}
    assert verdict(data["key"])["code"] == "VALID"
    assert api.get(f"/licenses/{data['id']}", by=owner).json["data"] == data


def test_a_licence_may_have_no_owner(api, verdict):
    answer = api.post("/licenses", {"policy_id": str(api.policy())}, by=api.admin())
    assert (answer.status_code, answer.json["data"]["user_id"]) == (201, None)
    assert verdict(answer.json["data"]["key"])["code"] == "VALID"


def test_the_policy_sets_the_duration_and_the_request_wins(api):
    admin, policy_id = api.admin(), api.policy(duration_days=30)
    before = utc_now()
    by_policy = api.post("/licenses", {"policy_id": str(policy_id)}, by=admin).json["data"]["expires_at"]
    late = timedelta(minutes=5)
    assert timedelta(days=30) - late < datetime.fromisoformat(by_policy) - before < timedelta(days=30) + late
    body = {"policy_id": str(policy_id), "expires_at": "2031-02-03T04:05:06+02:00"}
    by_request = api.post("/licenses", body, by=admin).json["data"]["expires_at"]
    assert datetime.fromisoformat(by_request) == datetime(2031, 2, 3, 2, 5, 6, tzinfo=UTC)
    assert by_request.endswith("Z")


def test_a_verified_address_gets_the_licence_at_once_in_any_case(api):
    owner = api.person(email="Zoë@Example.com")
    body = {"policy_id": str(api.policy()), "email": "ZOË@example.COM"}
    answer = api.post("/licenses", body, by=api.admin())
    assert answer.json["data"]["user_id"] == str(owner.id)


def test_an_unverified_account_gets_the_licence_with_its_verification(api, verdict):
    person, admin = api.person(email="ada@example.com", verified=False), api.admin()
    body = {"policy_id": str(api.policy()), "email": "Ada@example.com"}
    issued = api.post("/licenses", body, by=admin).json["data"]
    assert issued["user_id"] is None
    assert verdict(issued["key"])["code"] == "VALID"
    assert api.get(f"/licenses/{issued['id']}", by=person).status_code == 404
    verify(api, person)
    assert api.get(f"/licenses/{issued['id']}", by=person).json["data"]["key"] == issued["key"]


def test_an_unknown_address_gets_the_licence_once_it_has_a_verified_account(api):
    admin, policy_id = api.admin(), str(api.policy())
    body = {"policy_id": policy_id, "email": "grace@example.com"}
    issued = [api.post("/licenses", body, by=admin).json["data"]["id"] for _ in range(2)]
    stranger = api.person(email="other@example.com")
    person = api.person(email="GRACE@example.com", verified=False)
    api.deliver()
    assert api.get("/licenses", by=person).json["data"] == []
    verify(api, person)
    assert {row["id"] for row in api.get("/licenses", by=person).json["data"]} == set(issued)
    assert api.get("/licenses", by=stranger).json["data"] == []


def test_a_licence_given_to_somebody_waits_for_nobody_any_more(api):
    admin, owner = api.admin(), api.person()
    body = {"policy_id": str(api.policy()), "email": "late@example.com"}
    issued = api.post("/licenses", body, by=admin).json["data"]["id"]
    api.post(f"/licenses/{issued}/transfer", {"user_id": str(owner.id)}, by=admin)
    late = api.person(email="late@example.com", verified=False)
    verify(api, late)
    assert api.get(f"/licenses/{issued}", by=admin).json["data"]["user_id"] == str(owner.id)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "policy_id", "REQUIRED"),
        ({"policy_id": str(uuid4())}, "policy_id", "NOT_FOUND"),
        ({"user_id": str(uuid4())}, "user_id", "NOT_FOUND"),
        ({"user_id": str(uuid4()), "email": "a@example.com"}, "email", "AMBIGUOUS"),
        ({"email": "nonsense"}, "email", "INVALID"),
        ({"expires_at": "2031-02-03T04:05:06"}, "expires_at", "INVALID"),
        ({"expires_at": "99999-01-01T00:00:00Z"}, "expires_at", "INVALID"),
        ({"metadata": {"a": "x" * 16_385}}, "metadata", "INVALID"),
        ({"metadata": []}, "metadata", "INVALID"),
        ({"key": "DF-MINE"}, "key", "UNKNOWN_FIELD"),
        ({"status": "revoked"}, "status", "UNKNOWN_FIELD"),
    ],
)
def test_what_cannot_be_issued_is_named_and_nothing_is_written(api, body, field, code):
    admin = api.admin()
    given = {"policy_id": str(api.policy())} | body if body else {}
    answer = api.post("/licenses", given, by=admin)
    assert answer.status_code == 422
    detail = answer.json["error"]["details"][0]
    assert (detail["field"], detail["code"]) == (field, code)
    assert api.get("/licenses", by=admin).json["pagination"]["total"] == 0


@pytest.mark.parametrize("role", ["user", "developer", "support"])
def test_only_admins_issue(api, role):
    refused = api.post("/licenses", {"policy_id": str(api.policy())}, by=api.person(role=role))
    assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")


def test_an_order_repeated_with_its_idempotency_key_issues_one_licence(api):
    admin, body = api.admin(), {"policy_id": str(api.policy())}
    first, again = (
        api.post("/licenses", body, by=admin, headers={"Idempotency-Key": "order-4711"}) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["data"]["key"] == again.json["data"]["key"]
    assert again.headers["Location"] == first.headers["Location"]
    assert api.get("/licenses", by=admin).json["pagination"]["total"] == 1
