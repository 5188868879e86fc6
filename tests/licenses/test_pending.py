"""Paid orders: pending until they are fulfilled, and what else may happen to them meanwhile."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.flushing import flush
from devforge_api.licenses.models import CauseKind, ExpiryBasis, License
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import durations, lifecycle
from devforge_api.licenses.service.record import Cause
from devforge_api.licenses.service.transitions import TRANSITIONS
from tests.factories import code_of
from tests.licenses.together import at_once

MONTH = {"duration_days": 30}


def step(api, license_, verb, admin, **body):
    return api.post(f"/licenses/{license_.id}/{verb}", body, by=admin)


def shown(api, license_, admin):
    return api.get(f"/licenses/{license_.id}", by=admin).json["data"]


def test_an_order_is_pending_until_it_is_fulfilled_and_its_time_begins_then(api, verdict, activate):
    admin, policy = api.admin(), api.policy(duration_days=30, check_in_days=7)
    made = api.post("/licenses", {"policy_id": str(policy), "pending": True}, by=admin).json["data"]
    assert (made["status"], made["expires_at"]) == ("pending", None)
    assert verdict(made["key"])["code"] == "PENDING"
    refused = activate(made["key"], "m1")
    assert (refused.status_code, code_of(refused)) == (409, "PENDING")
    before = utc_now()
    done = api.post(f"/licenses/{made['id']}/fulfill", {"reason": "Order 7"}, by=admin).json["data"]
    assert done["status"] == "active"
    assert datetime.fromisoformat(done["expires_at"]) >= before + timedelta(days=30)
    assert verdict(made["key"])["code"] == "VALID"
    with api.app.app_context():
        due = db.session.scalar(db.select(License.check_in_due_at))
    assert due >= before + timedelta(days=7)


def test_an_expiry_that_was_given_outlasts_the_fulfilment(api):
    admin, policy = api.admin(), api.policy(**MONTH)
    body = {"policy_id": str(policy), "pending": True, "expires_at": "2041-01-01T00:00:00Z"}
    made = api.post("/licenses", body, by=admin).json["data"]
    done = api.post(f"/licenses/{made['id']}/fulfill", by=admin).json["data"]
    assert done["expires_at"] == "2041-01-01T00:00:00Z"


def test_time_that_begins_with_use_begins_neither_while_pending_nor_with_the_fulfilment(api):
    basis = ExpiryBasis.FIRST_VALIDATION
    license_ = api.license(policy={**MONTH, "expiry_basis": basis}, pending=True)
    admin = api.admin()
    with api.app.app_context(), unit_of_work():
        durations.begin(license_.id, basis, utc_now())
    assert shown(api, license_, admin)["expires_at"] is None
    assert step(api, license_, "fulfill", admin).json["data"]["expires_at"] is None
    with api.app.app_context(), unit_of_work():
        durations.begin(license_.id, basis, utc_now())
    assert shown(api, license_, admin)["expires_at"] is not None


@pytest.mark.parametrize("call", ["validate", "ensure"])
def test_who_asks_while_an_order_is_pending_uses_up_no_time(api, edit, call):
    """An app asks from the checkout on, perhaps for weeks."""
    license_ = api.license(policy={**MONTH, "expiry_basis": ExpiryBasis.FIRST_VALIDATION}, pending=True)
    admin = api.admin()

    def validated():
        body = {"key": license_.key, **({"fingerprint": "m1"} if call == "ensure" else {})}
        code = api.post(f"/licenses/{call}", body).json["data"]["code"]
        flush(api.app)
        return code

    assert validated() == "PENDING"
    edit("license", license_.id, first_validated_at=utc_now() - timedelta(days=60))
    step(api, license_, "fulfill", admin)
    assert validated() == "VALID"
    ends = datetime.fromisoformat(shown(api, license_, admin)["expires_at"])
    assert ends > utc_now() + timedelta(days=27)


# From each state, each way out of it: where it leads, or how it is refused.
WAYS = {
    "pending": {"fulfill": "active", "suspend": "LICENSE_NOT_ACTIVE", "reinstate": "LICENSE_NOT_SUSPENDED",
                "revoke": "revoked"},
    "active": {"fulfill": "LICENSE_NOT_PENDING", "suspend": "suspended",
               "reinstate": "LICENSE_NOT_SUSPENDED", "revoke": "revoked"},
    "suspended": {"fulfill": "LICENSE_NOT_PENDING", "suspend": "LICENSE_NOT_ACTIVE", "reinstate": "active",
                  "revoke": "revoked"},
    "revoked": {"fulfill": "LICENSE_NOT_PENDING", "suspend": "LICENSE_NOT_ACTIVE",
                "reinstate": "LICENSE_NOT_SUSPENDED", "revoke": "LICENSE_ALREADY_REVOKED"},
}  # fmt: skip
INTO = {"pending": [], "active": ["fulfill"], "suspended": ["fulfill", "suspend"], "revoked": ["revoke"]}


@pytest.mark.parametrize("state", WAYS)
def test_each_state_has_its_ways_and_refuses_the_others_with_the_present_status(api, state):
    admin, policy = api.admin(), api.policy()
    for verb, outcome in WAYS[state].items():
        license_ = api.license(policy, pending=True)
        for earlier in INTO[state]:
            assert step(api, license_, earlier, admin).status_code == 200
        answer = step(api, license_, verb, admin)
        if outcome.islower():
            assert (answer.status_code, answer.json["data"]["status"]) == (200, outcome)
        else:
            assert (answer.status_code, code_of(answer)) == (409, outcome)
            assert answer.json["error"]["params"] == {"status": state}
            assert shown(api, license_, admin)["status"] == state


def test_the_table_of_ways_is_the_one_that_the_code_has():
    known = {(source, way.target) for way in TRANSITIONS for source in way.sources}
    assert known == {(state, to) for state, ways in WAYS.items() for to in ways.values() if to.islower()}


def test_what_only_a_living_licence_has_is_refused_to_a_pending_one(api):
    license_, admin = api.license(policy={**MONTH, "check_in_days": 3}, pending=True), api.admin()
    for verb, body in [("renew", {}), ("check-in", {})]:
        refused = step(api, license_, verb, admin, **body)
        assert (refused.status_code, code_of(refused)) == (409, "LICENSE_PENDING"), verb
    refused = step(api, license_, "usage", admin, increment=1)
    assert (refused.status_code, code_of(refused)) == (409, "PENDING")


def test_an_order_fulfilled_many_times_at_once_is_fulfilled_once(api):
    license_, admin = api.license(policy=MONTH, pending=True), api.admin()
    answers = at_once([lambda: step(api, license_, "fulfill", admin)] * 12)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    entries = api.get(f"/licenses/{license_.id}/ledger", by=admin).json["data"]
    assert [entry["event"] for entry in entries] == ["fulfilled", "issued"]


def test_an_order_revoked_and_fulfilled_at_once_ends_revoked(api):
    admin, policy = api.admin(), api.policy(**MONTH)
    for _ in range(4):
        license_ = api.license(policy, pending=True)
        calls = [partial(step, api, license_, verb, admin) for verb in ("fulfill", "revoke") * 3]
        answers = at_once(calls, workers=6)
        assert [a.status_code for a in answers[1::2]].count(200) == 1
        assert shown(api, license_, admin)["status"] == "revoked"


def test_a_payment_fulfils_in_its_own_transaction_or_not_at_all(api, verdict):
    license_ = api.license(policy=MONTH, pending=True)

    def pay(*, fail):
        with unit_of_work():
            row = get_license(license_.id, owner_id=None, for_update=True)
            lifecycle.fulfill(row, now=utc_now(), cause=Cause(CauseKind.PAYMENT, "evt_1"))
            if fail:
                raise RuntimeError("the payment is rolled back")

    with api.app.app_context():
        with pytest.raises(RuntimeError):
            pay(fail=True)
        assert verdict(license_)["code"] == "PENDING"
        pay(fail=False)
    assert verdict(license_)["code"] == "VALID"
    entry = api.get(f"/licenses/{license_.id}/ledger", by=api.admin()).json["data"][0]
    assert (entry["event"], entry["cause"], entry["cause_id"]) == ("fulfilled", "payment", "evt_1")
