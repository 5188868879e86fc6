"""What becomes of a licence: suspended, reinstated, revoked, renewed, changed, removed."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import Machine
from tests.factories import code_of


def move(api, license_, verb, admin, body=None):
    return api.post(f"/licenses/{license_.id}/{verb}", body or {}, by=admin)


def test_a_licence_is_suspended_and_reinstated(api, verdict):
    license_, admin = api.license(), api.admin()
    answer = move(api, license_, "suspend", admin)
    assert (answer.status_code, answer.json["data"]["status"]) == (200, "suspended")
    assert verdict(license_)["code"] == "SUSPENDED"
    answer = move(api, license_, "reinstate", admin)
    assert (answer.status_code, answer.json["data"]["status"]) == (200, "active")
    assert verdict(license_)["code"] == "VALID"


@pytest.mark.parametrize(
    ("before", "verb", "code"),
    [
        (["suspend"], "suspend", "LICENSE_NOT_ACTIVE"),
        (["revoke"], "suspend", "LICENSE_NOT_ACTIVE"),
        ([], "reinstate", "LICENSE_NOT_SUSPENDED"),
        (["suspend", "reinstate"], "reinstate", "LICENSE_NOT_SUSPENDED"),
        (["revoke"], "reinstate", "LICENSE_NOT_SUSPENDED"),
        (["revoke"], "revoke", "LICENSE_ALREADY_REVOKED"),
        (["revoke"], "renew", "LICENSE_ALREADY_REVOKED"),
    ],
)
def test_a_step_from_the_wrong_state_is_a_conflict(api, before, verb, code):
    license_, admin = api.license(policy={"duration_days": 30}), api.admin()
    for step in before:
        assert move(api, license_, step, admin).status_code == 200
    status = api.get(f"/licenses/{license_.id}", by=admin).json["data"]["status"]
    refused = move(api, license_, verb, admin)
    assert (refused.status_code, code_of(refused)) == (409, code)
    assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["status"] == status


def test_a_suspended_licence_can_be_revoked_and_renewed(api, verdict):
    license_, admin = api.license(policy={"duration_days": 30}), api.admin()
    move(api, license_, "suspend", admin)
    assert move(api, license_, "renew", admin).json["data"]["status"] == "suspended"
    assert move(api, license_, "revoke", admin).json["data"]["status"] == "revoked"
    assert verdict(license_)["code"] == "REVOKED"


@pytest.mark.parametrize("verb", ["suspend", "reinstate", "revoke", "renew"])
def test_steps_are_for_admins_and_take_no_unknown_field(api, verb):
    owner = api.person()
    license_ = api.license(owner=owner)
    for caller in (owner, api.person(role="support")):
        assert move(api, license_, verb, caller).status_code == 403
    assert move(api, license_, verb, api.admin(), {"status": "active"}).status_code == 422
    missing = api.post(f"/licenses/{uuid4()}/{verb}", by=api.admin())
    assert (missing.status_code, code_of(missing)) == (404, "LICENSE_NOT_FOUND")


def test_a_perpetual_licence_cannot_be_renewed(api):
    refused = move(api, api.license(), "renew", api.admin(), {"duration_days": 30})
    assert (refused.status_code, code_of(refused)) == (422, "LICENSE_PERPETUAL")


def test_a_renewal_takes_the_policys_duration_and_makes_an_expired_licence_work(api, verdict):
    license_ = api.license(policy={"duration_days": 30}, expires_at=utc_now() - timedelta(days=400))
    assert verdict(license_)["code"] == "EXPIRED"
    assert move(api, license_, "renew", api.admin()).status_code == 200
    assert verdict(license_)["code"] == "VALID"


def test_a_renewal_without_any_duration_or_beyond_the_calendar_is_refused(api):
    license_, admin = api.license(expires_at=utc_now() + timedelta(days=1)), api.admin()
    assert move(api, license_, "renew", admin).json["error"]["field"] == "duration_days"
    api.patch(f"/licenses/{license_.id}", {"expires_at": "9989-01-01T00:00:00Z"}, by=admin)
    for _ in range(30):
        answer = move(api, license_, "renew", admin, {"duration_days": 36_500})
        assert answer.status_code == 422
    assert move(api, license_, "renew", admin, {"duration_days": 0}).status_code == 422


def test_a_change_by_part_leaves_the_rest_and_the_whole_resets_it(api):
    admin, owner = api.admin(), api.person()
    license_ = api.license(owner=owner, metadata={"a": 1}, expires_at=datetime(2031, 1, 1, tzinfo=UTC))
    path = f"/licenses/{license_.id}"
    patched = api.patch(path, {"metadata": {"b": 2}}, by=admin).json["data"]
    assert (patched["metadata"], patched["user_id"]) == ({"b": 2}, str(owner.id))
    assert patched["expires_at"] == "2031-01-01T00:00:00Z"
    whole = api.put(path, {}, by=admin).json["data"]
    assert (whole["metadata"], whole["user_id"], whole["expires_at"]) == ({}, str(owner.id), None)
    assert whole["key"] == license_.key


@pytest.mark.parametrize(
    "field",
    ["key", "status", "machine_count", "product_id", "policy_id", "user_id", "created_at", "id"],
)
def test_what_is_not_for_editing_is_refused(api, field):
    license_ = api.license()
    answer = api.patch(f"/licenses/{license_.id}", {field: "x"}, by=api.admin())
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)


def test_a_deleted_licence_is_gone_with_its_machines(api, activate, verdict):
    license_, admin = api.license(), api.admin()
    activate(license_, "m1")
    assert api.delete(f"/licenses/{license_.id}", by=admin).status_code == 204
    assert api.get(f"/licenses/{license_.id}", by=admin).status_code == 404
    assert verdict(license_)["code"] == "NOT_FOUND"
    with api.app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(Machine)) == 0
    assert api.delete(f"/licenses/{license_.id}", by=admin).status_code == 404


def test_an_edit_of_an_old_copy_is_refused_if_the_editor_says_so(api):
    license_, admin = api.license(policy={"duration_days": 30}), api.admin()
    path = f"/licenses/{license_.id}"
    seen = {"If-Match": api.get(path, by=admin).headers["ETag"]}
    assert api.patch(path, {"metadata": {"a": 1}}, by=admin, headers=seen).status_code == 200
    for answer in (
        api.patch(path, {"metadata": {}}, by=admin, headers=seen),
        api.put(path, {}, by=admin, headers=seen),
        api.delete(path, by=admin, headers=seen),
    ):
        assert (answer.status_code, code_of(answer)) == (412, "PRECONDITION_FAILED")
    assert api.get(path, by=admin).json["data"]["metadata"] == {"a": 1}
    assert api.patch(path, {"metadata": {}}, by=admin, headers={"If-Match": "*"}).status_code == 200


def test_a_licence_survives_its_owner(api, verdict):
    owner, admin = api.person(), api.admin()
    license_ = api.license(owner=owner)
    assert api.delete(f"/users/{owner.id}", by=admin).status_code == 204
    assert verdict(license_)["code"] == "VALID"
    assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["user_id"] is None


def test_every_step_is_audited_with_what_changed(api):
    license_, admin = api.license(policy={"duration_days": 30}), api.admin()
    for verb in ("suspend", "reinstate", "renew", "revoke"):
        move(api, license_, verb, admin)
    found = api.get(f"/audit/events?target_id={license_.id}&sort=created_at", by=admin)
    events = found.json["data"]
    assert [event["action"] for event in events] == [
        "license.issued", "license.suspended", "license.reinstated", "license.renewed", "license.revoked",
    ]  # fmt: skip
    assert events[1]["changes"] == {"status": ["active", "suspended"]}
    assert events[4]["actor_id"] == str(admin.id)
    assert license_.key not in found.text
