"""Machines that are heard of, and what becomes of those that are not."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.core import jobs
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import CullStrategy, HeartbeatBasis, License, Machine, Policy
from devforge_api.licenses.service import heartbeats
from tests.factories import code_of

TERMS = {"require_heartbeat": True, "heartbeat_seconds": 600}


@pytest.fixture
def licensed(api):
    """A licence whose policy asks for heartbeats."""
    return lambda **terms: api.license(policy={**TERMS, **terms})


@pytest.fixture
def cull(app, clock):
    """The scheduled job, at the clock's time; how many seats it freed."""

    def run():
        with app.app_context(), unit_of_work():
            return heartbeats.cull(clock())

    return run


def told(api, license_):
    """What the audit trail tells of a licence's machines, in order."""
    query = f"?target_id={license_.id}&sort=created_at&limit=100"
    events = api.get(f"/audit/events{query}", by=api.admin()).json["data"]
    names = [event["action"].removeprefix("license.") for event in events]
    return [name for name in names if name != "issued"]


def machines_of(app, license_):
    with app.app_context():
        kept = db.session.scalar(select(License.machine_count).where(License.id == license_.id))
        rows = list(db.session.scalars(select(Machine.fingerprint).where(Machine.license_id == license_.id)))
        assert len(rows) == kept
        return sorted(rows)


def test_a_heartbeat_opens_a_window_and_each_one_moves_it_on(licensed, activate, ask, verdict, clock):
    license_ = licensed()
    taken = activate(license_, "m1").json["data"]
    assert (taken["heartbeat_status"], taken["heartbeat_due_at"]) == ("not_started", None)
    assert verdict(license_, fingerprint="m1")["code"] == "HEARTBEAT_NOT_STARTED"
    first = ask("heartbeat", license_, "m1")
    assert (first.status_code, first.json["data"]["heartbeat_status"]) == (200, "alive")
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    clock.go_on(seconds=500)
    second = ask("heartbeat", license_, "m1").json["data"]
    assert second["heartbeat_due_at"] > first.json["data"]["heartbeat_due_at"]
    assert second["last_seen_at"] == second["last_heartbeat_at"] > taken["last_seen_at"]
    clock.go_on(seconds=500)
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"


def test_a_window_from_creation_begins_with_the_seat(api, licensed, activate, verdict, clock):
    license_ = licensed(heartbeat_basis=HeartbeatBasis.CREATION)
    assert activate(license_, "m1").json["data"]["heartbeat_status"] == "alive"
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    clock.go_on(seconds=601)
    assert verdict(license_, fingerprint="m1")["code"] == "HEARTBEAT_DEAD"


def test_a_heartbeat_costs_one_select_and_one_update(licensed, activate, ask, count_queries):
    license_ = licensed()
    activate(license_, "m1", components=[{"name": "board", "fingerprint": "b"}])
    ask("heartbeat", license_, "m1")
    with count_queries() as seen:
        answer = ask("heartbeat", license_, "m1")
    assert answer.json["data"]["components"] == [{"name": "board", "fingerprint": "b"}]
    assert [statement.split()[0] for statement in seen] == ["SELECT", "UPDATE"]


def test_where_no_heartbeat_is_asked_for_one_tells_that_the_machine_was_seen(api, activate, ask, clock):
    license_ = api.license()
    before = activate(license_, "m1").json["data"]
    clock.go_on(hours=1)
    after = ask("heartbeat", license_, "m1").json["data"]
    assert after["last_seen_at"] > before["last_seen_at"]
    assert (after["heartbeat_due_at"], after["heartbeat_status"]) == (None, "alive")


def test_a_heartbeat_of_nobody_is_refused(api, licensed, activate, ask):
    license_ = licensed()
    assert code_of(ask("heartbeat", "unknown", "m1")) == "LICENSE_NOT_FOUND"
    assert code_of(ask("heartbeat", license_, "m1")) == "MACHINE_NOT_FOUND"
    activate(license_, "m1")
    refused = ask("heartbeat", license_, "m2")
    assert (refused.status_code, code_of(refused)) == (404, "MACHINE_NOT_FOUND")
    assert api.post("/licenses/heartbeat", {"key": " ", "fingerprint": "m1"}).status_code == 422


def test_a_machine_learns_from_its_heartbeat_that_the_licence_stands_no_more(api, licensed, activate, ask):
    license_ = licensed()
    activate(license_, "m1")
    api.post(f"/licenses/{license_.id}/suspend", by=api.admin())
    refused = ask("heartbeat", license_, "m1")
    assert (refused.status_code, code_of(refused)) == (409, "SUSPENDED")
    api.post(f"/licenses/{license_.id}/revoke", by=api.admin())
    assert code_of(ask("heartbeat", license_, "m1")) == "REVOKED"


def test_required_scopes_and_limits_do_not_concern_a_heartbeat(api, licensed, activate, ask):
    license_ = licensed(required_scopes=["product", "user"], max_machines=2)
    with api.app.app_context():
        user_id = str(api.person().id)
    assert code_of(activate(license_, "m1", user_id=user_id)) == "PRODUCT_SCOPE_REQUIRED"
    free = licensed(max_machines=2)
    for fingerprint in ("m1", "m2"):
        activate(free, fingerprint)
    with api.app.app_context(), unit_of_work():
        policy = db.session.get(Policy, free.policy_id)
        policy.required_scopes, policy.max_machines = ["product"], 1
    assert ask("heartbeat", free, "m1").status_code == 200


# --- death and revival -------------------------------------------------------------------------------


def test_a_dead_machine_is_revived_within_its_window(api, licensed, activate, ask, verdict, clock):
    license_ = licensed(revival_seconds=300)
    activate(license_, "m1")
    ask("heartbeat", license_, "m1")
    clock.go_on(seconds=700)
    assert verdict(license_, fingerprint="m1")["code"] == "HEARTBEAT_DEAD"
    assert code_of(activate(license_, "m1")) == "HEARTBEAT_DEAD"
    assert ask("heartbeat", license_, "m1").json["data"]["heartbeat_status"] == "alive"
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    ask("heartbeat", license_, "m1")
    assert told(api, license_) == ["activated", "machine_revived"]


@pytest.mark.parametrize("strategy", CullStrategy)
def test_beyond_its_window_a_dead_machine_does_not_return(licensed, activate, ask, clock, strategy):
    license_ = licensed(revival_seconds=300, cull_strategy=strategy)
    activate(license_, "m1")
    ask("heartbeat", license_, "m1")
    clock.go_on(seconds=900)
    refused = ask("heartbeat", license_, "m1")
    assert (refused.status_code, code_of(refused)) == (409, "MACHINE_DEAD")
    if strategy is CullStrategy.KEEP:  # somebody has to look at it
        assert code_of(activate(license_, "m1")) == "HEARTBEAT_DEAD"
        ask("deactivate", license_, "m1")
    assert activate(license_, "m1").status_code == 201


def test_without_a_window_a_dead_machine_may_always_return(api, licensed, activate, ask, clock, cull):
    license_ = licensed(revival_seconds=None)
    activate(license_, "m1")
    ask("heartbeat", license_, "m1")
    clock.go_on(days=365)
    assert cull() == 0
    assert ask("heartbeat", license_, "m1").status_code == 200
    assert told(api, license_) == ["activated", "machine_died", "machine_revived"]


def test_a_lost_machine_that_activates_again_takes_a_new_seat_before_any_culling(
    api, app, licensed, activate, ask, clock
):
    license_ = licensed(max_machines=1, revival_seconds=0)
    former = activate(license_, "m1", cores=4).json["data"]["id"]
    ask("heartbeat", license_, "m1")
    clock.go_on(seconds=601)
    again = activate(license_, "m1")
    assert (again.status_code, again.json["data"]["id"] != former) == (201, True)
    assert machines_of(app, license_) == ["m1"]
    assert told(api, license_) == ["activated", "machine_died", "deactivated", "activated"]
    with app.app_context():
        assert db.session.scalar(select(License.core_count)) == 0


# --- culling -----------------------------------------------------------------------------------------


def test_culling_frees_the_seats_of_the_dead_and_of_nobody_else(
    api, app, licensed, activate, ask, clock, cull
):
    license_ = licensed(max_machines=2, revival_seconds=300)
    waiting = licensed()
    activate(waiting, "not-started")
    for fingerprint in ("dies", "lives"):
        activate(license_, fingerprint)
        ask("heartbeat", license_, fingerprint)
    assert cull() == 0
    clock.go_on(seconds=599)
    ask("heartbeat", license_, "lives")
    clock.go_on(seconds=1)
    assert cull() == 0  # dead, and may come back
    assert told(api, license_)[-1] == "machine_died"
    clock.go_on(seconds=300)
    assert cull() == 1
    assert cull() == 0
    assert machines_of(app, license_) == ["lives"]
    assert machines_of(app, waiting) == ["not-started"]
    assert told(api, license_) == ["activated", "activated", "machine_died", "deactivated"]
    assert activate(license_, "new").status_code == 201
    assert code_of(ask("heartbeat", license_, "dies")) == "MACHINE_NOT_FOUND"


def test_a_kept_machine_dies_once_and_again_after_a_revival(api, app, licensed, activate, ask, clock, cull):
    license_ = licensed(cull_strategy=CullStrategy.KEEP, revival_seconds=None)
    activate(license_, "m1")
    for _ in range(2):
        ask("heartbeat", license_, "m1")
        clock.go_on(seconds=601)
        assert (cull(), cull()) == (0, 0)
    assert machines_of(app, license_) == ["m1"]
    assert told(api, license_) == ["activated", "machine_died", "machine_revived", "machine_died"]


def test_a_policy_that_asks_for_heartbeats_no_more_kills_no_machine(
    api, app, licensed, activate, ask, verdict, clock, cull
):
    license_ = licensed()
    activate(license_, "m1")
    ask("heartbeat", license_, "m1")
    clock.go_on(seconds=601)
    with app.app_context(), unit_of_work():
        db.session.get(Policy, license_.policy_id).require_heartbeat = False
    assert cull() == 0
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    ask("heartbeat", license_, "m1")
    with app.app_context(), unit_of_work():
        db.session.get(Policy, license_.policy_id).require_heartbeat = True
    assert cull() == 0  # no window is open: the next heartbeat opens one
    assert machines_of(app, license_) == ["m1"]


def test_culling_takes_so_many_at_a_time_those_longest_dead_first(app, licensed, activate, ask, clock):
    license_ = licensed(max_machines=None)
    for number in range(5):
        activate(license_, f"m{number}")
        ask("heartbeat", license_, f"m{number}")
        clock.go_on(seconds=1)
    clock.go_on(seconds=601)
    freed = []
    for _ in range(4):
        with app.app_context(), unit_of_work():
            freed.append(heartbeats.cull(clock(), at_most=2))
        if len(freed) == 1:
            assert machines_of(app, license_) == ["m2", "m3", "m4"]
    assert freed == [2, 2, 1, 0]


def test_culling_is_on_the_schedule_and_stands_still_in_maintenance(app, licensed, activate, ask, clock):
    from devforge_api.core import maintenance

    assert jobs._jobs["licenses.machines.cull"].every == timedelta(seconds=30)
    license_ = licensed()
    activate(license_, "m1")
    ask("heartbeat", license_, "m1")
    with app.app_context():
        with unit_of_work():
            maintenance.begin(None, 60)
        assert "licenses.machines.cull" not in jobs.run_due()
        with unit_of_work():
            maintenance.end()
        ended = maintenance.current().changed_at
        # Nobody could be heard of: a window first, then the dead are told.
        for seconds, left in [(601, ["m1"]), (1300, [])]:
            with unit_of_work():
                with_due = select(Machine).where(Machine.license_id == license_.id)
                db.session.scalars(with_due).one().heartbeat_due_at = ended
            with unit_of_work():
                heartbeats.cull(ended + timedelta(seconds=seconds - 600))
            assert machines_of(app, license_) == left
