"""Seats: who gets one, who does not, and how it is given back."""

from datetime import timedelta

import pytest

from devforge_api.core.clock import utc_now
from tests.factories import code_of


def seats(api, license_):
    """How many seats are taken, by the licence's own count, which must agree with the rows."""
    admin = api.admin()
    counted = api.get(f"/licenses/{license_.id}", by=admin).json["data"]["machine_count"]
    assert api.get(f"/licenses/{license_.id}/machines", by=admin).json["pagination"]["total"] == counted
    return counted


def test_a_machine_takes_a_seat_and_keeps_it(api, activate):
    license_ = api.license()
    first = activate(license_, "m1", name="Ada's laptop", platform="darwin-arm64")
    again = activate(license_, "m1", name="Another name")
    assert (first.status_code, again.status_code) == (201, 200)
    taken, kept = first.get_json()["data"], again.get_json()["data"]
    assert taken.pop("last_seen_at") < kept.pop("last_seen_at")
    assert taken == kept
    assert taken["name"] == "Ada's laptop"
    assert taken["license_id"] == str(license_.id)
    assert seats(api, license_) == 1


def test_a_full_licence_refuses_with_its_limit(api, activate):
    license_ = api.license(policy={"max_machines": 1})
    activate(license_, "m1")
    refused = activate(license_, "m2")
    assert (refused.status_code, code_of(refused)) == (409, "MACHINE_LIMIT_EXCEEDED")
    assert refused.json["error"]["params"]["max_machines"] == 1
    assert activate(license_, "m1").status_code == 200
    assert seats(api, license_) == 1


def test_a_policy_without_limit_takes_any_number(api, activate):
    license_ = api.license(policy={"max_machines": None})
    assert {activate(license_, f"m{number}").status_code for number in range(20)} == {201}
    assert seats(api, license_) == 20


def test_a_strict_licence_without_machines_can_be_activated(api, activate, verdict):
    license_ = api.license(policy={"strict": True, "floating": False, "max_machines": 1})
    assert verdict(license_, fingerprint="m1")["code"] == "NO_MACHINE"
    assert activate(license_, "m1").status_code == 201
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"


def test_an_unknown_key_is_not_found(activate):
    refused = activate("DF-00000-00000-00000-00000-000000", "m1")
    assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": " ", "fingerprint": "m"}, "key"),
        ({"key": "k"}, "fingerprint"),
        ({"key": "k", "fingerprint": ""}, "fingerprint"),
        ({"key": "k", "fingerprint": "m" * 256}, "fingerprint"),
        ({"key": "k", "fingerprint": "m", "name": "n" * 101}, "name"),
        ({"key": "k", "fingerprint": "m", "platform": 7}, "platform"),
        ({"key": "k", "fingerprint": "m", "machine_count": 0}, "machine_count"),
    ],
)
def test_a_malformed_request_is_refused_by_its_field(api, body, field):
    answer = api.post("/licenses/activate", body)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)


def _suspend(api, license_, owner):
    api.post(f"/licenses/{license_.id}/suspend", by=api.admin())


def _revoke(api, license_, owner):
    api.post(f"/licenses/{license_.id}/revoke", by=api.admin())


def _expire(api, license_, owner):
    past = (utc_now() - timedelta(days=1)).isoformat()
    api.patch(f"/licenses/{license_.id}", {"expires_at": past}, by=api.admin())


def _ban(api, license_, owner):
    api.ban(owner.id)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(_suspend, "SUSPENDED"), (_revoke, "REVOKED"), (_expire, "EXPIRED"), (_ban, "BANNED")],
)
def test_a_licence_that_is_not_valid_gives_no_seat(api, activate, spoil, code):
    owner = api.person()
    license_ = api.license(owner=owner)
    activate(license_, "m1")
    spoil(api, license_, owner)
    for fingerprint in ("m1", "m2"):  # not even the seat that it holds
        refused = activate(license_, fingerprint)
        assert (refused.status_code, code_of(refused)) == (409, code)
    assert seats(api, license_) == 1


def test_a_key_of_one_product_takes_no_seat_of_another(api, activate, verdict):
    one, other = api.license(api.policy(api.product("one"))), api.license(api.policy(api.product("other")))
    refused = activate(one, "m1", product="other")
    assert (refused.status_code, code_of(refused)) == (409, "PRODUCT_SCOPE_MISMATCH")
    assert (seats(api, one), seats(api, other)) == (0, 0)
    assert activate(one, "m1", product="one").status_code == 201
    assert verdict(other, fingerprint="m1")["code"] == "NO_MACHINES"


def test_one_machine_may_hold_seats_of_several_licences(api, activate):
    one, other = api.license(), api.license()
    assert (activate(one, "m1").status_code, activate(other, "m1").status_code) == (201, 201)
    assert (seats(api, one), seats(api, other)) == (1, 1)


def test_a_lowered_limit_leaves_seats_but_gives_no_new_one(api, activate):
    license_ = api.license(policy={"max_machines": 3})
    for fingerprint in ("m1", "m2", "m3"):
        activate(license_, fingerprint)
    api.patch(f"/policies/{license_.policy_id}", {"max_machines": 1}, by=api.admin())
    assert activate(license_, "m1").status_code == 200
    assert code_of(activate(license_, "m4")) == "MACHINE_LIMIT_EXCEEDED"
    assert seats(api, license_) == 3


def test_more_users_than_allowed_leave_seats_but_give_no_new_one(api, activate, edit, verdict):
    license_ = api.license(policy={"max_users": 1})
    activate(license_, "m1")
    edit("license", license_.id, user_count=2)
    assert verdict(license_, fingerprint="m1")["valid"] is False
    assert activate(license_, "m1").status_code == 200
    refused = activate(license_, "m2")
    assert (refused.status_code, code_of(refused)) == (409, "TOO_MANY_USERS")
    assert seats(api, license_) == 1


@pytest.mark.parametrize("spoil", [None, _suspend, _revoke, _expire, _ban])
def test_a_seat_can_be_given_back_in_every_state(api, activate, spoil):
    owner = api.person()
    license_ = api.license(owner=owner, policy={"max_machines": 1})
    activate(license_, "m1")
    if spoil:
        spoil(api, license_, owner)
    body = {"key": license_.key, "fingerprint": "m1"}
    assert api.post("/licenses/deactivate", body).status_code == 204
    again = api.post("/licenses/deactivate", body)
    assert (again.status_code, code_of(again)) == (404, "MACHINE_NOT_FOUND")
    assert seats(api, license_) == 0
    if not spoil:
        assert activate(license_, "m2").status_code == 201


def test_a_seat_of_an_unknown_key_cannot_be_given_back(api):
    answer = api.post("/licenses/deactivate", {"key": "unknown", "fingerprint": "m1"})
    assert (answer.status_code, code_of(answer)) == (404, "LICENSE_NOT_FOUND")


def test_the_owner_and_an_admin_take_seats_back_and_a_stranger_does_not(api, activate):
    owner = api.person()
    license_, other = api.license(owner=owner), api.license(owner=owner)
    machines = [activate(license_, f"m{number}").json["data"]["id"] for number in range(2)]
    path = f"/licenses/{license_.id}/machines/{machines[0]}"
    for nobody in (api.person(), api.person(role="support"), api.person(role="developer")):
        assert api.delete(path, by=nobody).status_code == 404
    assert api.delete(f"/licenses/{other.id}/machines/{machines[0]}", by=owner).status_code == 404
    assert seats(api, license_) == 2
    assert api.delete(path, by=owner).status_code == 204
    assert code_of(api.delete(path, by=owner)) == "MACHINE_NOT_FOUND"
    path = f"/licenses/{license_.id}/machines/{machines[1]}"
    assert api.delete(path, by=api.admin()).status_code == 204
    assert seats(api, license_) == 0


def test_only_who_needs_a_seat_waits_for_the_others(api, activate, count_queries):
    license_ = api.license(policy={"max_machines": 2})
    api.post("/licenses/validate", {"key": license_.key})
    with count_queries() as seen:
        activate(license_, "m1")
    kinds = [statement.split()[0] for statement in seen]
    assert kinds[:4] == ["SELECT", "SELECT", "SELECT", "INSERT"]  # facts, lock, facts
    with count_queries() as seen:
        assert activate(license_, "m1").status_code == 200
    assert [statement.split()[0] for statement in seen] == ["SELECT", "UPDATE"]  # facts, last_seen_at
    assert "FOR UPDATE" not in seen[0]


def test_each_seat_is_told_once_in_the_audit_trail(api, activate):
    license_ = api.license()
    activate(license_, "m1")
    activate(license_, "m1")
    api.post("/licenses/deactivate", {"key": license_.key, "fingerprint": "m1"})
    query = f"?target_id={license_.id}&sort=created_at"
    events = api.get(f"/audit/events{query}", by=api.admin()).json["data"]
    told = [(event["action"], event["actor_kind"]) for event in events if "activated" in event["action"]]
    assert told == [("license.activated", "anonymous"), ("license.deactivated", "anonymous")]
