"""Every event of licences that the catalogue names is told to who subscribes to it."""

from datetime import timedelta

import pytest

from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.events import EVENTS
from devforge_api.licenses.service import expiry, heartbeats

OF_LICENSES = sorted(name for name in EVENTS if name.startswith("license."))
TERMS = {
    "max_machines": 2, "duration_days": 30, "check_in_days": 7, "takeover_cooldown_seconds": 0,
    "require_heartbeat": True, "heartbeat_seconds": 60, "revival_seconds": None, "cull_strategy": "keep",
}  # fmt: skip


@pytest.fixture
def heard(monkeypatch):
    """Names and payloads of the events, in the order in which they come."""
    told = []
    for name in OF_LICENSES:

        def note(payload, name=name):
            told.append((name, payload))

        monkeypatch.setitem(outbox._subscribers, name, {"tests": note})
    return told


def test_a_life_with_everything_in_it_tells_every_event(api, ask, edit, heard):
    admin, owner, product_id = api.admin(), api.person(), api.product()
    license_ = api.license(api.policy(product_id, **TERMS), owner=owner, pending=True)
    api.entitlement("cloud-sync")

    def step(verb, body=None, method="POST", by=admin):
        done = api.call(method, f"/licenses/{license_.id}{verb}", body, by=by)
        assert done.status_code < 300, done.json

    step("/fulfill")
    old = ask("ensure", license_, "m1").json["data"]["machine"]["id"]
    edit("machine", old, heartbeat_due_at=utc_now() - timedelta(hours=1))
    with api.app.app_context(), unit_of_work():
        heartbeats.cull(utc_now())
    assert ask("heartbeat", license_, "m1").status_code == 200
    new = ask("takeover", license_, "m2", machine_id=old).json["data"]["id"]
    assert ask("deactivate", license_, "m2").status_code == 204
    edit("license", license_.id, check_in_due_at=utc_now() - timedelta(hours=1))
    step("/check-in", by=owner)
    step("/usage", {"increment": 2}, by=owner)
    step("/users", {"email": api.person().email}, by=owner)
    step("/entitlements", {"entitlements": [{"code": "cloud-sync"}]}, method="PUT")
    step("/suspend")
    step("/reinstate")
    step("/renew", {})
    step("/rotate-key", {})
    step("/transfer", {"policy_id": str(api.policy(product_id, name="team"))})
    step("", {"metadata": {"a": 1}}, method="PATCH")
    with api.app.app_context(), unit_of_work():
        expiry.tell_expired(utc_now() + timedelta(days=4_000))
    step("/revoke")
    step("", method="DELETE")
    api.deliver()

    assert sorted({name for name, _ in heard}) == OF_LICENSES
    assert {payload["license_id"] for _, payload in heard} == {str(license_.id)}
    about = {name: payload for name, payload in heard if "machine_id" in payload}
    assert {payload["machine_id"] for payload in about.values()} == {old, new}
    assert about["license.taken_over"]["former_machine_id"] == old
