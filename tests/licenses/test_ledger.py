"""The ledger: every change with its cause, in the change's own transaction, for those whom it concerns."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import LedgerEntry
from devforge_api.licenses.queries import get_license
from devforge_api.licenses.service import expiry, lifecycle
from devforge_api.users import service as users
from tests.factories import code_of


def step(api, license_, verb, by, **body):
    answer = api.post(f"/licenses/{license_.id}/{verb}", body, by=by)
    assert answer.status_code == 200, answer.json
    return answer


def ledger(api, license_, by, query=""):
    answer = api.get(f"/licenses/{license_.id}/ledger{query}", by=by)
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def test_every_change_is_there_newest_first_with_cause_and_reason(api):
    admin, owner, product = api.admin(), api.person(), api.product()
    other = api.policy(product, name="team", duration_days=60)
    plan = api.policy(product, duration_days=30)
    with acting(Occasion(kind="cli", request_id="-")):
        license_ = api.license(plan, owner=owner, pending=True)
    step(api, license_, "fulfill", admin, reason="Order 1")
    step(api, license_, "suspend", admin, reason="Chargeback")
    step(api, license_, "reinstate", admin)
    step(api, license_, "renew", admin, reason="Paid")
    step(api, license_, "transfer", admin, policy_id=str(other), reason="Upgrade")
    step(api, license_, "rotate-key", owner)
    api.patch(f"/licenses/{license_.id}", {"metadata": {"a": 1}}, by=admin)
    with api.app.app_context(), unit_of_work():
        expiry.tell_expired(utc_now() + timedelta(days=4000))
    step(api, license_, "revoke", admin, reason="Refund")
    told = [(e["event"], e["cause"], e["cause_id"], e["reason"]) for e in ledger(api, license_, admin)]
    me, she = str(admin.id), str(owner.id)
    assert told == [
        ("revoked", "user", me, "Refund"),
        ("expired", "time", None, None),
        ("updated", "user", me, None),
        ("key_rotated", "user", she, None),
        ("transferred", "user", me, "Upgrade"),
        ("renewed", "user", me, "Paid"),
        ("reinstated", "user", me, None),
        ("suspended", "user", me, "Chargeback"),
        ("fulfilled", "user", me, "Order 1"),
        ("issued", "operator", None, None),
    ]


def test_no_key_stands_in_the_ledger(api):
    admin, license_ = api.admin(), api.license()
    fresh = step(api, license_, "rotate-key", admin).json["data"]["key"]
    answer = api.get(f"/licenses/{license_.id}/ledger", by=admin)
    assert license_.key not in answer.text
    assert fresh not in answer.text
    assert answer.json["data"][0]["changes"]["key_hash"] == ["(secret)", "(secret)"]


def test_an_address_that_is_proven_is_the_cause_of_a_claim(api):
    admin = api.admin()
    body = {"policy_id": str(api.policy()), "email": "ada@example.com"}
    made = api.post("/licenses", body, by=admin).json["data"]
    person = api.person(email="ada@example.com", verified=False)
    with api.app.app_context(), unit_of_work():
        users.verify_email(users.get_user(person.id, for_update=True))
    api.deliver()
    entry = api.get(f"/licenses/{made['id']}/ledger", by=person).json["data"][0]
    assert (entry["event"], entry["cause"], entry["cause_id"]) == ("updated", "user", str(person.id))


def test_owners_read_their_own_and_see_no_ids_of_others(api):
    admin, owner, support = api.admin(), api.person(), api.person(role="support")
    license_ = api.license(owner=owner)
    step(api, license_, "suspend", admin, reason="Unpaid")
    (suspended, _) = ledger(api, license_, owner)
    assert (suspended["cause"], suspended["cause_id"], suspended["reason"]) == ("user", None, "Unpaid")
    assert ledger(api, license_, support)[0]["cause_id"] == str(admin.id)
    for stranger in (api.person(), api.person(role="developer")):
        refused = api.get(f"/licenses/{license_.id}/ledger", by=stranger)
        assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")
    assert api.get(f"/licenses/{uuid4()}/ledger", by=owner).status_code == 404


def test_a_new_owner_reads_nothing_of_the_former_one(api):
    admin, first, second = api.admin(), api.person(), api.person()
    license_ = api.license(owner=first)
    step(api, license_, "suspend", admin, reason="About the first owner")
    step(api, license_, "reinstate", admin)
    step(api, license_, "transfer", admin, user_id=str(second.id))
    entries = ledger(api, license_, second)
    assert [entry["event"] for entry in entries] == ["key_rotated", "transferred"]
    assert entries[1]["changes"]["user_id"] == ["another", str(second.id)]
    assert str(first.id) not in str(entries)
    assert ledger(api, license_, admin)[1]["changes"]["user_id"] == [str(first.id), str(second.id)]
    step(api, license_, "transfer", admin, user_id=str(first.id))
    assert [entry["event"] for entry in ledger(api, license_, first)] == ["key_rotated", "transferred"]


def test_a_long_ledger_is_read_page_by_page(api):
    admin, license_ = api.admin(), api.license()
    for _ in range(3):
        step(api, license_, "suspend", admin)
        step(api, license_, "reinstate", admin)
    seen, query = [], "?limit=2"
    while query:
        answer = api.get(f"/licenses/{license_.id}/ledger{query}", by=admin).json
        seen += [entry["event"] for entry in answer["data"]]
        cursor = answer["pagination"].get("next_cursor")
        query = f"?limit=2&cursor={cursor}" if cursor else ""
    assert seen == ["reinstated", "suspended"] * 3 + ["issued"]


def test_a_change_that_is_rolled_back_leaves_no_entry(api):
    license_ = api.license()

    @unit_of_work()
    def killed_before_the_commit():
        lifecycle.suspend(get_license(license_.id, owner_id=None, for_update=True))
        raise RuntimeError

    with api.app.app_context():
        with pytest.raises(RuntimeError):
            killed_before_the_commit()
        assert db.session.scalars(select(LedgerEntry.event)).all() == ["issued"]


def test_entries_are_appended_and_never_changed(api):
    license_ = api.license()
    with api.app.app_context():
        for forbidden in (
            lambda: db.session.execute(update(LedgerEntry).values(reason="Another")),
            lambda: db.session.execute(delete(LedgerEntry)),
        ):
            with pytest.raises(RuntimeError, match="appended"), unit_of_work():
                forbidden()
        with pytest.raises(RuntimeError, match="appended"), unit_of_work():
            db.session.scalars(select(LedgerEntry)).one().reason = "Another"
        with pytest.raises(RuntimeError, match="appended"), unit_of_work():
            db.session.delete(db.session.scalars(select(LedgerEntry)).one())
        assert db.session.scalars(select(LedgerEntry.license_id)).all() == [license_.id]


def test_what_was_said_of_an_owner_goes_with_the_account(api):
    admin, owner = api.admin(), api.person()
    license_ = api.license(owner=owner)
    step(api, license_, "suspend", admin, reason="Ada has not paid")
    assert api.delete(f"/users/{owner.id}", by=admin).status_code == 204
    assert {entry["reason"] for entry in ledger(api, license_, admin)} == {None}


@pytest.mark.parametrize("verb", ["suspend", "reinstate", "revoke", "renew", "transfer", "fulfill"])
def test_a_reason_has_its_length(api, verb):
    answer = api.post(f"/licenses/{uuid4()}/{verb}", {"reason": "x" * 501}, by=api.admin())
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "reason")
