"""One machine takes the seat of another one: at once, seldom, and never two of them."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import _subscribers, on
from devforge_api.licenses.models import License, Machine, Policy
from tests.factories import code_of
from tests.licenses.test_activation_races import at_once, counts

HOUR = 3_600


@pytest.fixture
def full(api, activate):
    """A licence whose two seats are taken, and the ids of their machines."""

    def make(**terms):
        given = {"max_machines": 2, "takeover_cooldown_seconds": HOUR, **terms}
        license_ = api.license(policy=given)
        return license_, [activate(license_, f"m{n}").json["data"]["id"] for n in range(2)]

    return make


def fingerprints(app, license_):
    with app.app_context():
        found = select(Machine.fingerprint).where(Machine.license_id == license_.id)
        return sorted(db.session.scalars(found))


def test_a_machine_takes_the_seat_of_another_one(api, app, full, ask, verdict):
    license_, (old, _) = full()
    parts = [{"name": "board", "fingerprint": "b"}]
    new = {"name": "New laptop", "platform": "darwin-arm64", "components": parts}
    taken = ask("takeover", license_, "m9", machine_id=old, **new)
    assert taken.status_code == 201
    assert {name: taken.json["data"][name] for name in new} == new
    assert taken.headers["Location"].endswith(f"/machines/{taken.json['data']['id']}")
    assert fingerprints(app, license_) == ["m1", "m9"]
    assert counts(app, license_) == (2, 2)
    assert verdict(license_, fingerprint="m9")["code"] == "VALID"
    assert verdict(license_, fingerprint="m0")["code"] == "FINGERPRINT_SCOPE_MISMATCH"
    assert code_of(ask("heartbeat", license_, "m0")) == "MACHINE_NOT_FOUND"


def test_the_same_machine_taking_over_twice_keeps_its_seat(app, full, ask):
    license_, (old, other) = full()
    first = ask("takeover", license_, "m9", machine_id=old)
    again = ask("takeover", license_, "m9", machine_id=old)
    another = ask("takeover", license_, "m9", machine_id=other)
    assert [answer.status_code for answer in (first, again, another)] == [201, 200, 200]
    assert len({answer.json["data"]["id"] for answer in (first, again, another)}) == 1
    assert fingerprints(app, license_) == ["m1", "m9"]


def test_seats_rest_between_take_overs_for_as_long_as_the_policy_says(full, ask, activate, clock):
    license_, (old, other) = full()
    begun = clock()
    ask("takeover", license_, "m8", machine_id=old)
    refused = ask("takeover", license_, "m9", machine_id=other)
    assert (refused.status_code, code_of(refused)) == (409, "TAKEOVER_COOLDOWN")
    allowed_at = refused.json["error"]["params"]["allowed_at"]
    assert datetime.fromisoformat(allowed_at) - begun >= timedelta(seconds=HOUR)
    assert activate(license_, "m9").json["error"]["params"]["takeover"] == {"allowed_at": allowed_at}
    clock.go_on(seconds=HOUR + 1)
    assert activate(license_, "m9").json["error"]["params"]["takeover"] == {"allowed_at": None}
    assert ask("takeover", license_, "m9", machine_id=other).status_code == 201


def test_the_rest_that_has_begun_stays_when_the_policy_changes(app, full, ask):
    license_, (old, other) = full()
    ask("takeover", license_, "m8", machine_id=old)
    with app.app_context(), unit_of_work():
        db.session.get(Policy, license_.policy_id).takeover_cooldown_seconds = 0
    assert code_of(ask("takeover", license_, "m9", machine_id=other)) == "TAKEOVER_COOLDOWN"


def test_a_policy_may_let_no_machine_take_over(app, full, ask):
    license_, (old, _) = full(takeover_cooldown_seconds=None)
    refused = ask("takeover", license_, "m9", machine_id=old)
    assert (refused.status_code, code_of(refused)) == (409, "TAKEOVER_NOT_ALLOWED")
    assert fingerprints(app, license_) == ["m0", "m1"]


def test_only_a_seat_of_the_same_licence_can_be_taken(app, full, ask):
    license_, _ = full()
    _, (foreign, _) = full()
    for machine_id in (foreign, str(uuid4())):
        refused = ask("takeover", license_, "m9", machine_id=machine_id)
        assert (refused.status_code, code_of(refused)) == (404, "MACHINE_NOT_FOUND")
    assert code_of(ask("takeover", "unknown", "m9", machine_id=foreign)) == "LICENSE_NOT_FOUND"
    assert ask("takeover", license_, "m9").json["error"]["field"] == "machine_id"


def test_a_licence_that_is_not_valid_gives_no_seat_to_a_take_over(api, app, full, ask):
    license_, (old, _) = full()
    refused = ask("takeover", license_, "m9", machine_id=old, product="other")
    assert code_of(refused) == "PRODUCT_SCOPE_MISMATCH"
    api.post(f"/licenses/{license_.id}/suspend", by=api.admin())
    for fingerprint in ("m9", "m0"):
        assert code_of(ask("takeover", license_, fingerprint, machine_id=old)) == "SUSPENDED"
    assert fingerprints(app, license_) == ["m0", "m1"]


def test_cores_of_the_one_that_goes_are_free_for_the_one_that_comes(api, app, activate, ask):
    license_ = api.license(policy={"max_machines": 2, "max_cores": 8})
    old = activate(license_, "m0", cores=6).json["data"]["id"]
    refused = ask("takeover", license_, "m9", machine_id=old, cores=9)
    assert (refused.status_code, code_of(refused)) == (409, "CORE_LIMIT_EXCEEDED")
    assert fingerprints(app, license_) == ["m0"]
    assert ask("takeover", license_, "m9", machine_id=old, cores=8).status_code == 201
    with app.app_context():
        assert db.session.execute(select(License.machine_count, License.core_count)).one() == (1, 8)


def test_a_take_over_is_told_once_with_both_machines(api, full, ask):
    license_, (old, _) = full()
    seen = []

    @on("license.taken_over", "license.activated", "license.deactivated")
    def note(payload):
        seen.append(payload)

    try:
        new = ask("takeover", license_, "m9", machine_id=old).json["data"]["id"]
        ask("takeover", license_, "m9", machine_id=old)
        api.deliver()
    finally:
        for name in ("taken_over", "activated", "deactivated"):
            _subscribers[f"license.{name}"].popitem()
    ids = {"license_id": str(license_.id), "machine_id": new, "former_machine_id": old}
    assert seen == [ids]
    events = api.get(f"/audit/events?target_id={license_.id}&sort=-created_at", by=api.admin()).json["data"]
    assert [event["action"] for event in events].count("license.taken_over") == 1


@pytest.mark.parametrize("cooldown", [0, HOUR])
def test_of_two_machines_that_take_over_the_same_seat_one_gets_it(app, full, ask, cooldown):
    license_, (old, _) = full(takeover_cooldown_seconds=cooldown)
    answers = at_once([lambda n=n: ask("takeover", license_, f"new{n}", machine_id=old) for n in range(12)])
    codes = [answer.status_code for answer in answers]
    assert codes.count(201) == 1
    refused = {code_of(answer) for answer in answers if answer.status_code != 201}
    assert refused == {"TAKEOVER_COOLDOWN" if cooldown else "MACHINE_NOT_FOUND"}
    assert counts(app, license_) == (2, 2)
    assert "m1" in fingerprints(app, license_)


def test_take_overs_among_activations_never_move_the_count_beyond_the_limit(app, full, activate, ask):
    license_, (old, other) = full(takeover_cooldown_seconds=0)
    calls = [lambda n=n: activate(license_, f"late{n}") for n in range(20)]
    calls[5:5] = [lambda: ask("takeover", license_, "new0", machine_id=old)]
    calls[15:15] = [lambda: ask("takeover", license_, "new1", machine_id=other)]
    answers = at_once(calls)
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert counts(app, license_) == (2, 2)
    assert fingerprints(app, license_) == ["new0", "new1"]
