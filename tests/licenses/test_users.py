"""Who uses a licence beside its owner: added, seen, counted, removed."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.core.db import db
from devforge_api.licenses.models import LedgerEntry, License, LicenseUser
from tests.factories import code_of
from tests.licenses.test_activation_races import at_once


@pytest.fixture
def shared(api):
    """A licence with an owner and a guest."""
    owner, guest = api.person(), api.person()
    license_ = api.license(owner=owner, policy={"max_users": 3})
    added = api.post(f"/licenses/{license_.id}/users", {"email": guest.email}, by=owner)
    assert added.status_code == 201, added.json
    return owner, guest, license_


def counts(app, license_):
    """The count that the licence keeps, and its users."""
    with app.app_context():
        kept = db.session.scalar(select(License.user_count).where(License.id == license_.id))
        rows = select(func.count()).select_from(LicenseUser).where(LicenseUser.license_id == license_.id)
        return kept, db.session.scalar(rows)


def test_whoever_is_added_sees_the_licence_its_key_and_its_machines_and_changes_nothing(
    app, api, shared, activate, verdict
):
    owner, guest, license_ = shared
    machine = activate(license_, "m1").json["data"]
    path = f"/licenses/{license_.id}"
    shown = api.get(path, by=guest).json["data"]
    assert (shown["key"], shown["user_id"]) == (license_.key, str(owner.id))
    assert [row["key"] for row in api.get("/licenses", by=guest).json["data"]] == [license_.key]
    assert [row["id"] for row in api.get(f"{path}/machines", by=guest).json["data"]] == [machine["id"]]
    assert api.get(f"{path}/machines/{machine['id']}", by=guest).status_code == 200
    assert api.get(f"{path}/entitlements", by=guest).status_code == 200
    assert verdict(license_, user_id=str(guest.id))["code"] == "VALID"
    for refused in (
        api.get(f"{path}/users", by=guest),  # the others' addresses
        api.post(f"{path}/users", {"email": "x@example.com"}, by=guest),
        api.delete(f"{path}/users/{owner.id}", by=guest),
        api.delete(f"{path}/machines/{machine['id']}", by=guest),
    ):
        assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")
    for refused in (
        api.patch(path, {}, by=guest),
        api.delete(path, by=guest),
        api.post(f"{path}/suspend", {}, by=guest),
        api.put(f"{path}/entitlements", {"entitlements": []}, by=guest),
    ):
        assert refused.status_code == 403
    assert counts(app, license_) == (1, 1)


def test_strangers_see_neither_the_licence_nor_its_users(api, shared):
    _, guest, license_ = shared
    stranger = api.person()
    for path in ("", "/users", f"/users/{guest.id}", "/machines", "/entitlements"):
        refused = api.get(f"/licenses/{license_.id}{path}", by=stranger)
        assert (refused.status_code, code_of(refused)) == (404, "LICENSE_NOT_FOUND")
    assert api.get("/licenses", by=stranger).json["data"] == []


def test_the_owner_and_staff_list_the_users(api, shared):
    owner, guest, license_ = shared
    path = f"/licenses/{license_.id}/users"
    for who in (owner, api.admin(), api.person(role="support")):
        rows = api.get(path, by=who).json["data"]
        assert [(row["user_id"], row["email"]) for row in rows] == [(str(guest.id), guest.email)]
        assert api.get(f"{path}/{guest.id}", by=who).json["data"] == rows[0]
    assert code_of(api.get(f"{path}/{owner.id}", by=owner)) == "LICENSE_USER_NOT_FOUND"


def test_adding_again_adds_nobody(app, api, shared):
    owner, guest, license_ = shared
    again = api.post(f"/licenses/{license_.id}/users", {"email": guest.email.upper()}, by=owner)
    assert (again.status_code, again.json["data"]["user_id"]) == (200, str(guest.id))
    assert counts(app, license_) == (1, 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "AMBIGUOUS"),
        ({"email": "guest@example.com", "user_id": str(uuid4())}, "AMBIGUOUS"),
        ({"email": "nobody@example.com"}, "NOT_FOUND"),
        ({"email": "unverified@example.com"}, "NOT_FOUND"),
        ({"email": "owner@example.com"}, "IS_OWNER"),
        ({"user_id": str(uuid4())}, "EMAIL_REQUIRED"),
    ],
)
def test_only_somebody_else_with_a_verified_address_is_added(app, api, body, code):
    owner = api.person(email="owner@example.com")
    api.person(email="guest@example.com")
    api.person(email="unverified@example.com", verified=False)
    license_ = api.license(owner=owner)
    refused = api.post(f"/licenses/{license_.id}/users", body, by=owner)
    assert (refused.status_code, refused.json["error"]["details"][0]["code"]) == (422, code)
    assert counts(app, license_) == (0, 0)


def test_the_team_adds_by_id_as_well_and_support_does_not(api, shared):
    _, _, license_ = shared
    third = api.person()
    path = f"/licenses/{license_.id}/users"
    refused = api.post(path, {"user_id": str(third.id)}, by=api.person(role="support"))
    assert refused.status_code == 404
    added = api.post(path, {"user_id": str(third.id)}, by=api.admin())
    assert (added.status_code, added.json["data"]["email"]) == (201, third.email)
    assert added.headers["Location"] == f"/api/v1{path}/{third.id}"
    assert api.post(path, {"user_id": str(uuid4())}, by=api.admin()).status_code == 422


def test_removing_somebody_frees_a_place_and_ends_what_they_saw(app, api, shared, verdict):
    owner, guest, license_ = shared
    path = f"/licenses/{license_.id}/users/{guest.id}"
    assert api.delete(path, by=owner).status_code == 204
    assert counts(app, license_) == (0, 0)
    assert api.get(f"/licenses/{license_.id}", by=guest).status_code == 404
    assert verdict(license_, user_id=str(guest.id))["code"] == "USER_SCOPE_MISMATCH"
    assert code_of(api.delete(path, by=owner)) == "LICENSE_USER_NOT_FOUND"


def test_whoever_was_added_may_leave(app, api, shared):
    _, guest, license_ = shared
    path = f"/licenses/{license_.id}/users/{guest.id}"
    assert api.delete(path, by=guest).status_code == 204
    assert code_of(api.delete(path, by=guest)) == "LICENSE_NOT_FOUND"
    assert counts(app, license_) == (0, 0)


def test_the_owner_counts_and_the_limit_tolerates_its_overage(api):
    owner = api.person()
    license_ = api.license(owner=owner, policy={"max_users": 2, "overage": "1.5x"})
    people = [api.person() for _ in range(3)]
    path = f"/licenses/{license_.id}"
    answers = [api.post(f"{path}/users", {"email": one.email}, by=owner) for one in people]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    error = answers[2].json["error"]
    assert (error["code"], error["params"]) == ("USER_LIMIT_EXCEEDED", {"max_users": 2})
    limits = api.get(path, by=owner).json["data"]["limits"]["users"]
    assert limits == {"taken": 3, "max": 2, "own": False, "overage": "1.5x"}


def test_a_licence_s_own_limit_of_users_counts_in_place_of_the_policy_s(api, verdict):
    owner, guest = api.person(), api.person()
    license_ = api.license(owner=owner, max_users=1, policy={"max_users": None})
    path = f"/licenses/{license_.id}"
    refused = api.post(f"{path}/users", {"email": guest.email}, by=owner)
    assert code_of(refused) == "USER_LIMIT_EXCEEDED"
    assert api.patch(path, {"max_users": 2}, by=api.admin()).status_code == 200
    assert api.post(f"{path}/users", {"email": guest.email}, by=owner).status_code == 201
    assert verdict(license_)["code"] == "VALID"
    api.patch(path, {"max_users": 1}, by=api.admin())
    assert (verdict(license_)["valid"], verdict(license_)["code"]) == (False, "TOO_MANY_USERS")


def test_people_added_at_once_leave_exactly_the_limit(app, api):
    owner = api.person()
    license_ = api.license(owner=owner, policy={"max_users": 5})
    guests = [api.person() for _ in range(12)]
    path = f"/licenses/{license_.id}/users"
    answers = at_once([lambda one=one: api.post(path, {"email": one.email}, by=owner) for one in guests])
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(409)) == (4, 8)
    assert counts(app, license_) == (4, 4)


def test_one_person_added_and_removed_at_once_is_counted_truly(app, api):
    owner, guest = api.person(), api.person()
    license_ = api.license(owner=owner)
    path = f"/licenses/{license_.id}/users"

    def come_and_go():
        codes = []
        for _ in range(4):
            codes.append(api.post(path, {"email": guest.email}, by=owner).status_code)
            codes.append(api.delete(f"{path}/{guest.id}", by=owner).status_code)
        return codes

    answers = at_once([come_and_go] * 6, workers=6)
    assert {code for codes in answers for code in codes} <= {200, 201, 204, 404}
    kept, rows = counts(app, license_)
    assert kept == rows


def test_two_whose_accounts_are_erased_at_once_leave_true_counts(app, api):
    """Each uses the other's licence: the erasures lock both rows."""
    admin = api.admin()
    for _ in range(4):
        first, second, third = api.person(), api.person(), api.person()
        of_first, of_second = api.license(owner=first), api.license(owner=second)
        for license_, guest in ((of_first, second), (of_second, first)):
            api.post(f"/licenses/{license_.id}/users", {"email": guest.email}, by=admin)
        calls = [
            lambda who=first: api.delete(f"/users/{who.id}", by=admin),
            lambda who=second: api.delete(f"/users/{who.id}", by=admin),
            lambda id_=of_first.id, who=third: api.post(
                f"/licenses/{id_}/users", {"email": who.email}, by=admin
            ),
            lambda id_=of_second.id, who=first: api.post(
                f"/licenses/{id_}/users", {"email": who.email}, by=admin
            ),
        ]
        codes = [answer.status_code for answer in at_once(calls)]
        assert codes[:3] == [204, 204, 201]
        assert codes[3] in {200, 422}
        assert counts(app, of_first) == (1, 1)
        assert counts(app, of_second) == (0, 0)


def test_a_user_who_becomes_the_owner_is_counted_once(app, api, shared):
    owner, guest, license_ = shared
    body = {"user_id": str(guest.id)}
    assert api.post(f"/licenses/{license_.id}/transfer", body, by=api.admin()).status_code == 200
    assert counts(app, license_) == (0, 0)
    shown = api.get(f"/licenses/{license_.id}", by=guest).json["data"]
    assert shown["limits"]["users"]["taken"] == 1
    assert api.get(f"/licenses/{license_.id}", by=owner).status_code == 404


def test_the_ledger_tells_who_added_whom(app, api, shared):
    owner, guest, license_ = shared
    api.delete(f"/licenses/{license_.id}/users/{guest.id}", by=owner)
    with app.app_context():
        entries = db.session.scalars(
            select(LedgerEntry)
            .where(LedgerEntry.license_id == license_.id, LedgerEntry.event == "users_changed")
            .order_by(LedgerEntry.id)
        ).all()
    assert [(entry.cause_id, entry.changes) for entry in entries] == [
        (str(owner.id), {"user_id": [None, str(guest.id)]}),
        (str(owner.id), {"user_id": [str(guest.id), None]}),
    ]


def test_a_guest_s_list_costs_as_many_queries_as_an_owner_s(api, shared, count_queries):
    owner, guest, _ = shared
    seen = []
    for who in (owner, guest):
        with count_queries() as queries:
            assert len(api.get("/licenses", by=who).json["data"]) == 1
        seen.append(sum("licenses" in query for query in queries))
    assert seen == [1, 1]
