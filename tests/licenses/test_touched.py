"""Editing a policy revives and ends no licence silently: the answer tells whom it touches."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import LedgerEntry, License, Machine
from devforge_api.licenses.queries import standing
from tests.factories import code_of

VALID = {"valid": True, "code": "VALID", "entitlements": []}


def answer(code, *, valid=False, entitlements=()):
    return {"valid": valid, "code": code, "entitlements": list(entitlements)}


@pytest.fixture
def edit(api):
    """Change part of a policy; whom that touched, by id."""

    def patch(policy_id, values, query=""):
        done = api.patch(f"/policies/{policy_id}{query}", values, by=api.admin())
        assert done.status_code == 200, done.json
        touched = done.json["data"]["touched"]
        assert touched["total"] >= len(touched["licenses"])
        return {one["id"]: (one["before"], one["after"]) for one in touched["licenses"]}

    return patch


@pytest.fixture
def ledger(app):
    """A licence's ledger, but for its issue."""

    def entries(license_):
        with app.app_context():
            rows = db.session.scalars(
                select(LedgerEntry)
                .where(LedgerEntry.license_id == license_.id, LedgerEntry.event == "policy_changed")
                .order_by(LedgerEntry.id)
            )
            return [(row.cause.value, row.cause_id, row.changes) for row in rows]

    return entries


@pytest.fixture
def change(app):
    """Set columns of a licence, past every rule."""

    def run(license_, **values):
        with app.app_context(), unit_of_work():
            db.session.execute(update(License).where(License.id == license_.id).values(**values))

    return run


def test_a_lowered_limit_tells_whom_it_ends_and_a_raised_one_whom_it_revives(
    api, edit, ledger, verdict, activate
):
    policy_id = api.policy(max_machines=2)
    full, half = api.license(policy_id), api.license(policy_id)
    for license_, fingerprint in ((full, "m1"), (full, "m2"), (half, "m3")):
        activate(license_, fingerprint)
    too_many = answer("TOO_MANY_MACHINES")
    assert edit(policy_id, {"max_machines": 1}) == {str(full.id): (VALID, too_many)}
    assert verdict(full)["code"] == "TOO_MANY_MACHINES"
    assert edit(policy_id, {"max_machines": 2}) == {str(full.id): (too_many, VALID)}
    assert verdict(full)["code"] == "VALID"
    assert ledger(full) == [
        (
            "policy",
            str(policy_id),
            {"valid": [True, False], "code": ["VALID", "TOO_MANY_MACHINES"]},
        ),
        (
            "policy",
            str(policy_id),
            {"valid": [False, True], "code": ["TOO_MANY_MACHINES", "VALID"]},
        ),
    ]
    assert ledger(half) == []


@pytest.mark.parametrize(
    ("edited", "state", "before", "after"),
    [
        ({"strict": True}, {}, VALID, answer("NO_MACHINES")),
        ({"required_scopes": ["product"]}, {}, VALID, answer("PRODUCT_SCOPE_REQUIRED")),
        ({"expiry_strategy": "allow"}, {"expired": True}, answer("EXPIRED"), answer("EXPIRED", valid=True)),
        ({"max_cores": 4}, {"core_count": 5}, VALID, answer("TOO_MANY_CORES")),
        (
            {"max_cores": 4, "overage": "1.25x"},
            {"core_count": 5},
            VALID,
            answer("TOO_MANY_CORES", valid=True),
        ),
        ({"max_users": 1}, {"user_count": 1}, VALID, answer("TOO_MANY_USERS")),
    ],
)
def test_every_term_that_verdicts_depend_on_tells_whom_it_touches(
    api, edit, change, verdict, edited, state, before, after
):
    policy_id = api.policy()
    license_ = api.license(policy_id, owner=api.person())
    if state.pop("expired", False):
        state["expires_at"] = utc_now() - timedelta(days=1)
    change(license_, **state)
    assert edit(policy_id, edited) == {str(license_.id): (before, after)}
    told = verdict(license_)
    assert (told["valid"], told["code"]) == (after["valid"], after["code"])


def test_what_is_decided_before_any_term_is_touched_by_none(api, app, edit, change, verdict, ledger):
    policy_id, owner = api.policy(), api.person()
    states = {
        "REVOKED": api.license(policy_id),
        "SUSPENDED": api.license(policy_id),
        "PENDING": api.license(policy_id),
        "BANNED": api.license(policy_id, owner=owner),
    }
    for state in ("revoked", "suspended", "pending"):
        change(states[state.upper()], status=state)
    api.ban(owner.id)
    for values in ({"strict": True}, {"expiry_strategy": "allow", "strict": False}, {"max_machines": 99}):
        assert edit(policy_id, values) == {}
    for code, license_ in states.items():
        assert verdict(license_)["code"] == code
        assert ledger(license_) == []


def test_no_deadline_moves_and_nobody_who_was_expired_comes_back(app, api, edit, change, activate):
    product_id = api.product()
    policy_id = api.policy(
        product_id, duration_days=10, check_in_days=5, require_heartbeat=True, heartbeat_basis="from_creation"
    )
    license_ = api.license(policy_id)
    activate(license_, "m1")
    past = utc_now() - timedelta(days=1)
    change(license_, expires_at=past, check_in_due_at=past, takeover_allowed_at=past)
    with app.app_context(), unit_of_work():
        db.session.execute(
            update(Machine).where(Machine.license_id == license_.id).values(heartbeat_due_at=past)
        )
    for values in (
        {"duration_days": 1_000},
        {"duration_days": None},
        {"check_in_days": 300},
        {"heartbeat_seconds": 86_400},
        {"takeover_cooldown_seconds": None},
    ):
        assert edit(policy_id, values) == {}
    with app.app_context():
        row = db.session.get_one(License, license_.id)
        due = db.session.scalar(select(Machine.heartbeat_due_at).where(Machine.license_id == license_.id))
    assert {row.expires_at, row.check_in_due_at, row.takeover_allowed_at, due} == {past}


def test_a_limit_of_its_own_keeps_a_licence_untouched(api, edit, activate):
    policy_id = api.policy(max_machines=3)
    own, plain = api.license(policy_id, max_machines=2), api.license(policy_id)
    for fingerprint in ("m1", "m2"):
        activate(own, fingerprint)
        activate(plain, f"other-{fingerprint}")
    assert list(edit(policy_id, {"max_machines": 1})) == [str(plain.id)]


def test_entitlements_tell_who_gains_and_who_loses_them(api, edit, ledger, verdict):
    for code in ("a", "b"):
        api.entitlement(code)
    policy_id, admin = api.policy(entitlements=["a"]), api.admin()
    plain, own = api.license(policy_id), api.license(policy_id)
    body = {"entitlements": [{"code": "b", "expires_at": rfc3339(utc_now() + timedelta(days=1))}]}
    assert api.put(f"/licenses/{own.id}/entitlements", body, by=admin).status_code == 200
    # The one with its own "b" gains nothing by the policy's.
    gained = (
        answer("VALID", valid=True, entitlements=["a"]),
        answer("VALID", valid=True, entitlements=["a", "b"]),
    )
    assert edit(policy_id, {"entitlements": ["a", "b"]}) == {str(plain.id): gained}
    assert set(edit(policy_id, {"entitlements": ["b"]})) == {str(plain.id), str(own.id)}
    assert verdict(plain, entitlements=["a"])["code"] == "ENTITLEMENTS_MISSING"
    assert ledger(plain)[0][2] == {"entitlements": [["a"], ["a", "b"]]}
    assert ledger(own) == [("policy", str(policy_id), {"entitlements": [["a", "b"], ["b"]]})]


def test_a_preview_tells_the_same_and_changes_nothing(app, api, edit, ledger, verdict, activate):
    api.entitlement("a")
    admin, policy_id = api.admin(), api.policy(max_machines=2)
    license_ = api.license(policy_id)
    for fingerprint in ("m1", "m2"):
        activate(license_, fingerprint)
    path = f"/policies/{policy_id}"
    before = api.get(path, by=admin)
    audit = api.get("/audit/events", by=admin).json["pagination"]["total"]
    values = {"max_machines": 1, "entitlements": ["a"], "name": "small"}
    for method in ("PATCH", "PUT"):
        body = values | ({"product_id": before.json["data"]["product_id"]} if method == "PUT" else {})
        tried = api.call(method, f"{path}?preview=true", body, by=admin).json["data"]
        assert (tried["name"], tried["max_machines"], tried["entitlements"]) == ("small", 1, ["a"])
        assert tried["touched"]["total"] == 1
    after = api.get(path, by=admin)
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])
    assert verdict(license_)["code"] == "VALID"
    assert ledger(license_) == []
    assert api.get("/audit/events", by=admin).json["pagination"]["total"] == audit
    expected = answer("TOO_MANY_MACHINES", entitlements=["a"])
    assert edit(policy_id, values, "?preview=false") == {str(license_.id): (VALID, expected)}
    assert verdict(license_)["code"] == "TOO_MANY_MACHINES"


def test_a_preview_is_refused_where_the_edit_would_be(api):
    admin, policy_id = api.admin(), api.policy()
    path = f"/policies/{policy_id}"
    assert api.patch(f"{path}?preview=true", {"trial": True}, by=admin).status_code == 422
    stale = {"If-Match": '"another"'}
    assert api.patch(f"{path}?preview=true", {"strict": True}, by=admin, headers=stale).status_code == 412
    for query in ("preview=yes", "preview=", "dry=true"):
        assert api.patch(f"{path}?{query}", {"strict": True}, by=admin).status_code == 422
    assert code_of(api.patch(f"{path}?preview=true", {}, by=api.person())) == "FORBIDDEN"


def test_what_verdicts_do_not_depend_on_asks_for_no_licence(api, count_queries):
    admin, policy_id = api.admin(), api.policy()
    api.license(policy_id)
    values = {"name": "new", "lease_seconds": 7_200, "heartbeat_seconds": 900, "metadata": {"a": 1}}
    with count_queries() as queries:
        done = api.patch(f"/policies/{policy_id}", values, by=admin).json["data"]
    assert done["touched"] == {"total": 0, "licenses": []}
    assert not [query for query in queries if "FROM licenses" in query]


def test_many_are_counted_in_pages_and_the_first_hundred_named(app, api, monkeypatch, count_queries):
    admin, policy_id = api.admin(), api.policy()
    ids = [str(api.license(policy_id).id) for _ in range(130)]
    other = api.license()
    monkeypatch.setattr(standing, "PAGE", 50)
    with count_queries() as queries:
        done = api.patch(f"/policies/{policy_id}", {"strict": True}, by=admin).json["data"]
    assert done["touched"]["total"] == 130
    assert [one["id"] for one in done["touched"]["licenses"]] == ids[:100]
    reads = [query for query in queries if "FROM licenses" in query]
    assert len(reads) == 3
    with app.app_context():
        told = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.event == "policy_changed")
        assert db.session.scalar(told) == 130
        assert db.session.scalar(told.where(LedgerEntry.license_id == other.id)) == 0
