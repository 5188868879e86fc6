"""One call: verdict, seat and lease; as often as an app likes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from devforge_api.audit.models import AuditEvent
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.flushing import flush
from devforge_api.core.outbox import OutboxRow
from devforge_api.licenses.errors import VerdictRefused
from devforge_api.licenses.models import License, Machine, Policy
from devforge_api.licenses.service import ensuring
from devforge_api.licenses.service.certificates import read, secret_of
from devforge_api.licenses.service.seats import Applicant
from devforge_api.licenses.service.validation import Scope, known_facts
from devforge_api.users.models import UserStatus
from tests.factories import code_of
from tests.licenses.test_activation_races import counts

PARTS = [{"name": "board", "fingerprint": "b"}, {"name": "disk", "fingerprint": "d"}]


@pytest.fixture
def ensure(ask):
    """The answer's data."""

    def call(license_, fingerprint="m1", **values):
        answer = ask("ensure", license_, fingerprint, **values)
        assert answer.status_code == 200, answer.json
        return answer.get_json()["data"]

    return call


def refused(answer):
    assert (answer["valid"], answer["machine"], answer["lease"]) == (False, None, None)
    return answer["code"]


def test_the_first_call_takes_a_seat_and_every_other_one_keeps_it(app, api, ensure, verdict):
    license_ = api.license(metadata={"crm": 1})
    first = ensure(license_, name="Ada's laptop", platform="darwin-arm64", cores=8, components=PARTS)
    assert (first["valid"], first["code"], first["detail"]) == (True, "VALID", "The licence is valid.")
    assert first["license"] == verdict(license_, fingerprint="m1")["license"]
    assert (first["machine"]["name"], first["machine"]["cores"]) == ("Ada's laptop", 8)
    assert first["machine"]["components"] == PARTS
    again = [ensure(license_) for _ in range(3)]
    assert {answer["machine"]["id"] for answer in again} == {first["machine"]["id"]}
    assert [answer["lease"]["counter"] for answer in (first, *again)] == [1, 2, 3, 4]
    assert counts(app, license_) == (1, 1)


def test_the_lease_is_a_file_for_this_machine(app, api, ensure):
    license_ = api.license()
    answer = ensure(license_)
    with app.app_context():
        document = read(answer["lease"]["file"], secret=secret_of(license_.key, "m1")).document
    assert document["data"]["id"] == answer["machine"]["id"]
    assert document["meta"]["counter"] == answer["lease"]["counter"]
    assert document["meta"]["expiry"] == answer["lease"]["expires_at"]
    assert document["meta"]["issued"] == answer["ts"]


def test_a_seat_that_is_held_costs_one_select_and_one_update_and_is_not_told(app, api, ensure, count_queries):
    license_ = api.license(policy={"require_heartbeat": True, "check_in_days": 7})
    ensure(license_, components=PARTS)
    flush(app)  # a licence without end is looked at until its first validation is written
    ensure(license_)

    def told():
        with app.app_context():
            rows = (select(func.count()).select_from(table) for table in (AuditEvent, OutboxRow))
            return [db.session.scalar(row) for row in rows]

    before = told()
    with count_queries() as seen:
        answer = ensure(license_)
    assert [statement.split()[0] for statement in seen] == ["SELECT", "UPDATE"]
    assert "FOR UPDATE" not in seen[0]
    assert answer["machine"]["components"] == PARTS
    assert told() == before


def test_a_nonce_comes_back_also_on_a_refusal(api, ensure):
    assert ensure(api.license(), nonce="n-1")["nonce"] == "n-1"
    assert ensure("unknown", nonce="n-2")["nonce"] == "n-2"
    assert "nonce" not in ensure("unknown")


def test_an_unknown_key_is_a_verdict_and_a_blank_one_is_malformed(api, ensure, ask):
    answer = ensure("unknown")
    assert refused(answer) == "NOT_FOUND"
    assert (answer["license"], answer["params"]) == (None, None)
    assert ask("ensure", " ", "m1").status_code == 422
    assert ask("ensure", "k", "").status_code == 422
    assert ask("ensure", "k", "m1", components=[PARTS[0]] * 2).status_code == 422


def test_without_a_free_seat_it_tells_who_could_go(app, api, ensure, ask):
    license_ = api.license(policy={"max_machines": 1})
    held = ensure(license_, "m1", name="Old")["machine"]
    answer = ensure(license_, "m2")
    assert refused(answer) == "MACHINE_LIMIT_EXCEEDED"
    assert answer["license"]["machine_count"] == 1
    assert answer["params"] == ask("activate", license_, "m2").json["error"]["params"]
    assert [machine["id"] for machine in answer["params"]["machines"]] == [held["id"]]
    assert answer["params"]["takeover"] == {"allowed_at": None}
    assert ask("takeover", license_, "m2", machine_id=held["id"]).status_code == 201
    assert ensure(license_, "m2")["valid"]
    assert refused(ensure(license_, "m1")) == "MACHINE_LIMIT_EXCEEDED"
    assert counts(app, license_) == (1, 1)


def test_a_lowered_limit_is_told_to_who_holds_a_seat_with_those_that_could_go(app, api, ensure):
    license_ = api.license(policy={"max_machines": 2})
    for fingerprint in ("m1", "m2"):
        ensure(license_, fingerprint)
    with app.app_context(), unit_of_work():
        db.session.get(Policy, license_.policy_id).max_machines = 1
    answer = ensure(license_, "m1")
    assert refused(answer) == "TOO_MANY_MACHINES"
    assert len(answer["params"]["machines"]) == 2
    assert refused(ensure(license_, "m3")) == "MACHINE_LIMIT_EXCEEDED"


def test_what_is_tolerated_is_valid_and_said(api, ensure):
    license_ = api.license(policy={"max_machines": 1, "overage": "2x"})
    assert ensure(license_, "m1")["code"] == "VALID"
    second = ensure(license_, "m2")
    assert (second["valid"], second["code"]) == (True, "TOO_MANY_MACHINES")
    assert second["lease"] is not None
    assert ensure(license_, "m1")["code"] == "TOO_MANY_MACHINES"


def test_a_licence_that_does_not_stand_gives_neither_seat_nor_lease(app, api, ensure):
    license_, admin = api.license(), api.admin()
    ensure(license_, "m1")
    api.post(f"/licenses/{license_.id}/suspend", by=admin)
    assert [refused(ensure(license_, fingerprint)) for fingerprint in ("m1", "m2")] == ["SUSPENDED"] * 2
    api.post(f"/licenses/{license_.id}/revoke", by=admin)
    assert refused(ensure(license_, "m1")) == "REVOKED"
    assert counts(app, license_) == (1, 1)


def test_a_revocation_between_reading_and_writing_gives_no_lease(app, api, ensure):
    license_ = api.license()
    ensure(license_)
    scope = Scope(fingerprints=("m1",))
    with app.app_context():
        facts = known_facts(license_.key, scope, now=utc_now())
        api.post(f"/licenses/{license_.id}/revoke", by=api.admin())
        with pytest.raises(VerdictRefused) as raised, unit_of_work():
            ensuring.ensure(facts, license_.key, Applicant("m1"), scope)
        assert raised.value.code == "REVOKED"
        assert db.session.scalar(select(Machine.lease_counter)) == 1


def test_what_changes_between_the_verdict_and_its_repetition_leaves_neither_seat_nor_lease(
    app, api, ensure, monkeypatch
):
    license_ = api.license(owner=api.person())

    def banned_meanwhile(*args, **values):
        return replace(known_facts(*args, **values), owner_status=UserStatus.DISABLED)

    monkeypatch.setattr(ensuring, "known_facts", banned_meanwhile)
    assert refused(ensure(license_)) == "BANNED"
    assert counts(app, license_) == (0, 0)


def test_a_licence_that_begins_with_its_first_validation_begins_with_it(app, api, activate, ensure):
    license_ = api.license(policy={"duration_days": 3, "expiry_basis": "from_first_validation"})
    assert activate(license_, "m1").status_code == 201
    answer = ensure(license_)
    assert answer["license"]["expires_at"] is not None
    assert answer["lease"]["expires_at"] == answer["license"]["expires_at"]
    flush(app)
    with app.app_context():
        assert db.session.scalar(select(License.first_validated_at)) is not None


def test_scopes_are_checked_as_by_a_validation(api, ensure):
    license_ = api.license(api.policy(api.product("dev-forge"), required_scopes=["product"]))
    assert refused(ensure(license_)) == "PRODUCT_SCOPE_REQUIRED"
    assert refused(ensure(license_, product="other")) == "PRODUCT_SCOPE_MISMATCH"
    assert refused(ensure(license_, product="dev-forge", entitlements=["x"])) == "ENTITLEMENTS_MISSING"
    assert refused(ensure(license_, product="dev-forge", version="9")) == "VERSION_SCOPE_MISMATCH"
    assert ensure(license_, product="dev-forge")["valid"]


def test_a_fingerprint_of_another_licence_or_a_used_trial_refuses(api, app, ensure):
    policy_id = api.policy(fingerprint_uniqueness="policy")
    assert ensure(api.license(policy_id))["valid"]
    assert refused(ensure(api.license(policy_id))) == "FINGERPRINT_TAKEN"
    trial = api.policy(trial=True, duration_days=14)
    assert ensure(api.license(trial))["valid"]
    second = api.license(trial)
    assert refused(ensure(second)) == "TRIAL_USED"
    assert counts(app, second) == (0, 0)
    assert ensure(second, "m2")["valid"]


def test_it_is_a_check_in(app, api, ensure, verdict, clock):
    license_ = api.license(policy={"check_in_days": 7})
    with app.app_context(), unit_of_work():
        db.session.get(License, license_.id).check_in_due_at = clock()
    assert verdict(license_)["code"] == "OVERDUE"
    assert ensure(license_)["code"] == "VALID"
    assert verdict(license_)["code"] == "VALID"
    clock.go_on(days=8)
    assert verdict(license_)["code"] == "OVERDUE"
    answer = ensure(license_)  # the seat is held
    assert answer["valid"]
    assert datetime.fromisoformat(answer["lease"]["expires_at"]) <= clock() + timedelta(days=7)
    with app.app_context():
        told = select(func.count()).where(AuditEvent.action == "license.checked_in")
        assert db.session.scalar(told) == 2


def test_a_refused_call_checks_nobody_in(app, api, ensure, verdict, clock):
    license_ = api.license(policy={"check_in_days": 7})
    with app.app_context(), unit_of_work():
        db.session.get(License, license_.id).check_in_due_at = clock()
    assert refused(ensure(license_, product="other")) == "PRODUCT_SCOPE_MISMATCH"
    assert verdict(license_)["code"] == "OVERDUE"


def test_it_is_a_heartbeat(api, ensure, verdict, clock):
    terms = {"require_heartbeat": True, "heartbeat_seconds": 600, "revival_seconds": 300}
    license_ = api.license(policy={**terms, "max_machines": 1})
    first = ensure(license_)
    assert first["machine"]["heartbeat_status"] == "alive"
    assert verdict(license_, fingerprint="m1")["code"] == "VALID"
    clock.go_on(seconds=700)
    assert verdict(license_, fingerprint="m1")["code"] == "HEARTBEAT_DEAD"
    revived = ensure(license_)
    assert (revived["code"], revived["machine"]["id"]) == ("VALID", first["machine"]["id"])
    clock.go_on(seconds=901)
    reseated = ensure(license_)
    assert (reseated["code"], reseated["machine"]["id"] == first["machine"]["id"]) == ("VALID", False)
    assert reseated["lease"]["counter"] == 1


def test_a_dead_machine_that_is_kept_needs_a_hand(api, ensure, ask, clock):
    license_ = api.license(policy={"require_heartbeat": True, "cull_strategy": "keep"})
    ensure(license_)
    clock.go_on(seconds=601)
    assert refused(ensure(license_)) == "HEARTBEAT_DEAD"
    ask("deactivate", license_, "m1")
    assert ensure(license_)["valid"]


def test_other_components_are_refused_and_the_first_ones_are_learnt(api, ensure):
    license_ = api.license()
    ensure(license_)
    assert ensure(license_, components=PARTS)["machine"]["components"] == PARTS
    others = [{"name": "board", "fingerprint": "x"}, {"name": "disk", "fingerprint": "y"}]
    assert refused(ensure(license_, components=others)) == "COMPONENTS_SCOPE_MISMATCH"
    assert ensure(license_, components=[*PARTS[:1], others[1]])["valid"]


def test_its_answer_for_a_begun_licence_tells_the_expiry(api, ensure):
    license_ = api.license(policy={"duration_days": 3, "expiry_basis": "from_first_activation"})
    answer = ensure(license_)
    assert answer["license"]["expires_at"] is not None
    assert answer["lease"]["expires_at"] == answer["license"]["expires_at"]


def test_a_full_licence_answers_a_stranger_as_it_answers_an_activation(api, ensure, ask):
    license_ = api.license(policy={"max_machines": 5, "max_cores": 2})
    ensure(license_, "m1", cores=2)
    answer = ensure(license_, "m2", cores=1)
    assert refused(answer) == "CORE_LIMIT_EXCEEDED" == code_of(ask("activate", license_, "m2", cores=1))
    assert answer["params"] == {"max_cores": 2, "core_count": 2}


def test_last_seen_at_tells_the_last_call(app, api, ensure, clock):
    license_ = api.license()
    first = ensure(license_)["machine"]["last_seen_at"]
    clock.go_on(hours=1)
    assert ensure(license_)["machine"]["last_seen_at"] > first
    with app.app_context():
        assert db.session.scalar(select(Machine.lease_counter)) == 2
