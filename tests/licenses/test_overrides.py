"""What one licence has of its own, in place of or beside its policy's: limits and entitlements."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import LedgerEntry
from tests.factories import code_of
from tests.licenses.test_activation_races import at_once

LIMITS = ("max_machines", "max_cores", "max_users", "max_uses")


def test_a_licence_is_issued_with_limits_of_its_own(api, activate):
    policy_id = api.policy(max_machines=1, max_cores=8, overage="2x")
    own = {"max_machines": 2, "max_users": 4}
    made = api.post("/licenses", {"policy_id": str(policy_id), **own}, by=api.admin()).json["data"]
    assert (made["max_machines"], made["machine_count"]) == (2, 0)
    assert made["limits"] == {
        "machines": {"taken": 0, "max": 2, "own": True, "overage": "2x"},
        "cores": {"taken": 0, "max": 8, "own": False, "overage": "2x"},
        "users": {"taken": 0, "max": 4, "own": True, "overage": "2x"},
        "uses": {"taken": 0, "max": None, "own": False, "overage": "none"},
    }
    # Twice its own limit, not the policy's.
    codes = [activate(made["key"], f"m{number}").status_code for number in range(5)]
    assert codes == [201] * 4 + [409]


def test_a_limit_of_its_own_is_changed_and_put_returns_to_the_policy_s(api, verdict, activate):
    admin = api.admin()
    license_ = api.license(policy={"max_machines": 1})
    path = f"/licenses/{license_.id}"
    changed = api.patch(path, {"max_machines": 2}, by=admin).json["data"]
    assert (changed["max_machines"], changed["limits"]["machines"]["own"]) == (2, True)
    assert verdict(license_)["license"]["max_machines"] == 2
    for fingerprint in ("m1", "m2"):
        assert activate(license_, fingerprint).status_code == 201
    put = api.put(path, {}, by=admin).json["data"]
    assert (put["max_machines"], put["limits"]["machines"]["own"]) == (1, False)
    assert verdict(license_)["code"] == "TOO_MANY_MACHINES"


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [0, -1, "3", 1.5, 1_000_000_001])
def test_a_limit_is_a_positive_number(api, name, value):
    admin, license_ = api.admin(), api.license()
    refused = api.patch(f"/licenses/{license_.id}", {name: value}, by=admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, name)


def test_other_limits_are_told_in_the_ledger(app, api):
    license_ = api.license(max_cores=4)
    api.patch(f"/licenses/{license_.id}", {"max_cores": None, "max_uses": 9}, by=api.admin())
    with app.app_context():
        entries = db.session.scalars(
            select(LedgerEntry).where(LedgerEntry.license_id == license_.id).order_by(LedgerEntry.id)
        ).all()
    assert [entry.event for entry in entries] == ["issued", "updated"]
    assert entries[0].changes["max_cores"] == [None, 4]
    assert entries[1].changes == {"max_cores": [4, None], "max_uses": [None, 9]}


# --- entitlements -----------------------------------------------------------------------------


@pytest.fixture
def give(api):
    """Put a licence's own entitlements."""

    def put(license_, *own, by=None):
        return api.put(
            f"/licenses/{license_.id}/entitlements", {"entitlements": list(own)}, by=by or api.admin()
        )

    return put


@pytest.fixture
def codes(api):
    for code in ("cloud-sync", "ai", "support"):
        api.entitlement(code)


def test_a_licence_includes_its_policy_s_entitlements_and_its_own_that_have_not_expired(
    api, codes, give, verdict
):
    owner = api.person()
    license_ = api.license(owner=owner, policy={"entitlements": ["cloud-sync"]})
    soon, past = rfc3339(utc_now() + timedelta(hours=1)), rfc3339(utc_now() - timedelta(seconds=1))
    given = give(license_, {"code": "support", "expires_at": soon}, {"code": "ai", "expires_at": past})
    told = [{"code": "ai", "expires_at": past}, {"code": "support", "expires_at": soon}]
    assert given.json["data"] == {"entitlements": told}
    path = f"/licenses/{license_.id}"
    assert api.get(f"{path}/entitlements", by=owner).json["data"] == {"entitlements": told}
    for shown in (
        verdict(license_)["license"],
        api.get(path, by=owner).json["data"],
        api.get("/licenses", by=owner).json["data"][0],
    ):
        assert shown["entitlements"] == ["cloud-sync", "support"]
    assert verdict(license_, entitlements=["support", "cloud-sync"])["code"] == "VALID"
    assert verdict(license_, entitlements=["ai"])["code"] == "ENTITLEMENTS_MISSING"


def test_putting_replaces_them_all_and_tells_the_ledger(app, api, codes, give, verdict):
    license_ = api.license()
    give(license_, {"code": "ai"}, {"code": "support"})
    assert give(license_, {"code": "support"}).status_code == 200
    assert give(license_, {"code": "support"}).status_code == 200  # nothing new to tell
    assert verdict(license_)["license"]["entitlements"] == ["support"]
    assert give(license_).json["data"] == {"entitlements": []}
    assert verdict(license_)["license"]["entitlements"] == []
    with app.app_context():
        changes = db.session.scalars(
            select(LedgerEntry.changes)
            .where(LedgerEntry.license_id == license_.id, LedgerEntry.event == "entitlements_changed")
            .order_by(LedgerEntry.id)
        ).all()
    assert changes == [
        {"entitlements": [[], ["ai", "support"]]},
        {"entitlements": [["ai", "support"], ["support"]]},
        {"entitlements": [["support"], []]},
    ]


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ([{"code": "nope"}], "NOT_FOUND"),
        ([{"code": "ai"}, {"code": "ai"}], "DUPLICATE"),
        ([{}], "REQUIRED"),
        ([{"code": "ai", "more": 1}], "UNKNOWN_FIELD"),
    ],
)
def test_wrong_entitlements_change_nothing(api, codes, give, verdict, own, code):
    license_ = api.license()
    give(license_, {"code": "support"})
    refused = give(license_, *own)
    assert (refused.status_code, refused.json["error"]["details"][0]["code"]) == (422, code)
    assert verdict(license_)["license"]["entitlements"] == ["support"]


def test_an_entitlement_of_some_licence_stays(api, give, verdict):
    admin, entitlement_id, license_ = api.admin(), api.entitlement("ai"), api.license()
    give(license_, {"code": "ai"})
    refused = api.delete(f"/entitlements/{entitlement_id}", by=admin)
    assert (refused.status_code, code_of(refused)) == (409, "IN_USE")
    assert verdict(license_)["license"]["entitlements"] == ["ai"]
    give(license_)
    assert api.delete(f"/entitlements/{entitlement_id}", by=admin).status_code == 204


def test_an_entitlement_given_and_removed_at_once_is_either_there_or_not(api, give, verdict):
    admin = api.admin()
    for number in range(4):
        entitlement_id, license_ = api.entitlement(f"e{number}"), api.license()
        given, removed = at_once(
            [
                lambda one=license_, code=f"e{number}": give(one, {"code": code}, by=admin),
                lambda id_=entitlement_id: api.delete(f"/entitlements/{id_}", by=admin),
            ]
        )
        assert (given.status_code, removed.status_code) in {(200, 409), (422, 204)}
        had = verdict(license_)["license"]["entitlements"]
        assert had == ([f"e{number}"] if given.status_code == 200 else [])


def test_an_old_copy_of_the_entitlements_is_refused(api, codes, give):
    admin, license_ = api.admin(), api.license()
    path = f"/licenses/{license_.id}/entitlements"
    seen = {"If-Match": api.get(path, by=admin).headers["ETag"]}
    body = {"entitlements": [{"code": "ai"}]}
    assert api.put(path, body, by=admin, headers=seen).status_code == 200
    assert api.put(path, {"entitlements": []}, by=admin, headers=seen).status_code == 412


def test_only_staff_give_entitlements_and_only_to_what_is_there(api, codes, give):
    owner = api.person()
    license_ = api.license(owner=owner)
    for who in (owner, api.person(role="support")):
        assert give(license_, {"code": "ai"}, by=who).status_code == 403
    missing = api.put(f"/licenses/{uuid4()}/entitlements", {"entitlements": []}, by=api.admin())
    assert (missing.status_code, code_of(missing)) == (404, "LICENSE_NOT_FOUND")


def test_lists_show_own_entitlements_by_one_query(api, codes, give, count_queries):
    owner = api.person()
    policy_id = api.policy(entitlements=["cloud-sync"])
    for _ in range(4):
        give(api.license(policy_id, owner=owner), {"code": "ai"}, {"code": "support"})
    with count_queries() as queries:
        rows = api.get("/licenses", by=owner).json["data"]
    assert {tuple(row["entitlements"]) for row in rows} == {("ai", "cloud-sync", "support")}
    assert sum("licenses" in query for query in queries) == 1
