"""Licence and machine files, as owners and the team fetch them."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import License, Machine, MachineComponent, Policy
from devforge_api.licenses.service import files
from devforge_api.licenses.service.certificates import Kind, Untrusted, read, secret_of
from tests.factories import code_of

DAY = 86_400


@pytest.fixture
def owner(api):
    return api.person()


@pytest.fixture
def fetch(api, owner):
    """The answer's data, and what its certificate says."""

    def ask(path, *, secret=None, by=owner):
        answer = api.get(path, by=by)
        assert answer.status_code == 200, answer.json
        data = answer.json["data"]
        with api.app.app_context():
            return data, read(data["certificate"], secret=secret)

    return ask


@pytest.fixture
def licensed(api, owner, activate):
    """A licence with a machine: (licence, path of its file, path of the machine's file)."""

    def make(**values):
        license_ = api.license(owner=owner, **values)
        machine = activate(license_, "m1", name="Ada's laptop", platform="linux").json["data"]
        path = f"/licenses/{license_.id}"
        return license_, f"{path}/file", f"{path}/machines/{machine['id']}/file"

    return make


@pytest.fixture
def change(api):
    def do(model, id_, **values):
        with api.app.app_context(), unit_of_work():
            db.session.execute(update(model).where(model.id == id_).values(values))

    return do


def test_a_licence_file_says_what_the_licence_is(api, fetch, licensed, owner):
    license_, path, _ = licensed(policy={"max_machines": 3}, metadata={"crm_id": "4711"})
    data, opened = fetch(path)
    assert data["certificate"].startswith("-----BEGIN LICENSE FILE-----\n")
    assert (opened.kind, opened.encrypted, opened.kid) == (Kind.LICENSE, False, data["kid"])
    meta, shown = opened.document["meta"], opened.document["data"]
    assert meta == {name: data[name] for name in ("issued", "expiry", "ttl")}
    assert data["ttl"] == 30 * DAY
    begun, ends = datetime.fromisoformat(data["issued"]), datetime.fromisoformat(data["expiry"])
    assert ends - begun == timedelta(days=30)
    assert (shown["type"], shown["id"], shown["user_id"]) == ("license", str(license_.id), str(owner.id))
    assert (shown["status"], shown["tier"], shown["max_machines"]) == ("active", "pro", 3)
    assert shown["metadata"] == {"crm_id": "4711"}
    assert opened.document["included"] == []
    assert license_.key not in str(opened.document)


def test_a_machine_file_says_which_machine_and_of_which_licence(fetch, licensed):
    license_, _, path = licensed()
    data, opened = fetch(path)
    assert data["certificate"].startswith("-----BEGIN MACHINE FILE-----\n")
    machine = opened.document["data"]
    assert (machine["fingerprint"], machine["name"]) == ("m1", "Ada's laptop")
    assert (machine["platform"], machine["license_id"]) == ("linux", str(license_.id))
    assert [one["type"] for one in opened.document["included"]] == ["license"]


def test_encrypted_files_open_with_the_key_and_the_machines_also_with_its_fingerprint(fetch, licensed):
    license_, of_license, of_machine = licensed()
    assert fetch(f"{of_license}?encrypt=true", secret=secret_of(license_.key))[1].encrypted
    assert fetch(f"{of_machine}?encrypt=true", secret=secret_of(license_.key, "m1"))[1].encrypted
    for path, secret in [(of_license, secret_of("DF-1")), (of_machine, secret_of(license_.key))]:
        with pytest.raises(Untrusted, match="another key or machine"):
            fetch(f"{path}?encrypt=true", secret=secret)


def test_what_else_is_wanted_is_included(api, fetch, licensed, activate, change):
    license_, of_license, of_machine = licensed()
    other = activate(license_, "m2").json["data"]
    assert other
    with api.app.app_context(), unit_of_work():
        machine_id = of_machine.split("/")[4]
        parts = [("disk", "d1"), ("board", "b1")]
        for name, fingerprint in parts:
            db.session.add(MachineComponent(machine_id=UUID(machine_id), name=name, fingerprint=fingerprint))
    _, opened = fetch(f"{of_license}?include=machines,policy")
    included = opened.document["included"]
    assert [one.get("fingerprint", one["type"]) for one in included] == ["m1", "m2", "policy"]
    assert included[-1]["lease_seconds"] == 30 * DAY
    _, opened = fetch(f"{of_machine}?include=components,policy")
    included = opened.document["included"]
    assert [one.get("name", one["type"]) for one in included] == ["license", "board", "disk", "pro"]


def test_a_file_holds_so_many_machines_and_says_when_there_are_more(
    api, owner, licensed, activate, monkeypatch
):
    monkeypatch.setattr(files, "MACHINES_AT_MOST", 1)
    license_, path, _ = licensed()
    assert api.get(f"{path}?include=machines", by=owner).status_code == 200
    activate(license_, "m2")
    refused = api.get(f"{path}?include=machines", by=owner)
    assert (refused.status_code, refused.json["error"]["details"][0]["code"]) == (422, "TOO_MANY")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("ttl=3599", "ttl"),
        ("ttl=-3600", "ttl"),
        ("ttl=315360001", "ttl"),
        ("ttl=1h", "ttl"),
        ("encrypt=perhaps", "encrypt"),
        ("include=owner", "include"),
        ("include=components", "include"),
        ("format=pdf", "format"),
        ("fields=key", "fields"),
    ],
)
def test_what_cannot_be_wanted_of_a_licence_file_is_refused(api, owner, licensed, query, field):
    _, path, _ = licensed()
    refused = api.get(f"{path}?{query}", by=owner)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, field)


def test_the_shortest_file_holds_for_an_hour(fetch, licensed):
    _, path, _ = licensed()
    assert fetch(f"{path}?ttl=3600")[0]["ttl"] == 3600


@pytest.mark.parametrize(
    ("strategy", "days"), [("restrict", 10), ("revoke", 10), ("maintain", 30), ("allow", 30)]
)
def test_a_file_outlives_no_licence_that_ends_with_its_expiry(fetch, licensed, change, strategy, days):
    license_, path, _ = licensed()
    change(Policy, license_.policy_id, expiry_strategy=strategy, version=2)
    change(License, license_.id, expires_at=utc_now() + timedelta(days=10, seconds=30))
    assert fetch(path)[0]["ttl"] // DAY == days


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"status": "pending"}, "PENDING"),
        ({"status": "suspended"}, "SUSPENDED"),
        ({"status": "revoked"}, "REVOKED"),
        ({"expires_at": utc_now() - timedelta(days=1)}, "EXPIRED"),
        ({"check_in_due_at": utc_now() - timedelta(days=1)}, "OVERDUE"),
    ],
)
def test_a_licence_that_does_not_hold_gets_no_file(api, owner, licensed, change, values, verdict):
    license_, *paths = licensed(policy={"check_in_days": 7})
    change(License, license_.id, **values)
    for path in paths:
        refused = api.get(path, by=owner)
        assert (refused.status_code, code_of(refused)) == (409, verdict)


def test_a_banned_owners_licence_gets_no_file(api, owner, licensed):
    _, *paths = licensed()
    staff = api.person(role="support")
    api.ban(owner.id)
    assert {code_of(api.get(path, by=staff)) for path in paths} == {"BANNED"}


def test_an_expired_licence_that_goes_on_gets_its_file(fetch, licensed, change):
    license_, path, _ = licensed()
    change(Policy, license_.policy_id, expiry_strategy="maintain", version=2)
    past = utc_now() - timedelta(days=1)
    change(License, license_.id, expires_at=past)
    shown = fetch(path)[1].document["data"]
    assert datetime.fromisoformat(shown["expires_at"]) == past
    assert shown["expiry_strategy"] == "maintain"


def test_a_machine_whose_heartbeat_stopped_gets_no_file_and_its_licence_does(api, owner, licensed, change):
    license_, of_license, of_machine = licensed()
    change(Policy, license_.policy_id, require_heartbeat=True, version=2)
    dead = {"last_heartbeat_at": utc_now() - timedelta(hours=2), "heartbeat_due_at": utc_now()}
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(Machine).where(Machine.license_id == license_.id).values(dead))
    assert code_of(api.get(of_machine, by=owner)) == "HEARTBEAT_DEAD"
    assert api.get(of_license, by=owner).status_code == 200


def test_staff_may_fetch_everybodys_files_and_strangers_none(api, licensed):
    _, *paths = licensed()
    for path in paths:
        assert api.get(path, by=api.person(role="support")).status_code == 200
        assert code_of(api.get(path, by=api.person())) == "LICENSE_NOT_FOUND"
        assert api.get(path).status_code == 401


def test_a_machine_of_another_licence_has_no_file_here(api, owner, licensed):
    _, path, _ = licensed()
    _, _, other = licensed()
    mixed = path.removesuffix("/file") + "/machines/" + other.split("/machines/")[1]
    assert code_of(api.get(mixed, by=owner)) == "MACHINE_NOT_FOUND"


def test_files_are_kept_by_no_cache_and_never_compressed(api, owner, licensed):
    _, *paths = licensed(metadata={"long": "x" * 2000})
    for path in paths:
        answer = api.get(path, by=owner, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Content-Encoding" not in answer.headers


def test_a_file_costs_few_statements(api, owner, licensed, count_queries):
    _, of_license, of_machine = licensed()
    for path, most in [
        (of_license, 3),  # whether the caller is admitted, the licence with its plan, its facts
        (f"{of_license}?include=machines,policy", 4),
        (of_machine, 4),
        (f"{of_machine}?encrypt=true&include=components,policy", 5),
    ]:
        api.get(path, by=owner)
        with count_queries() as statements:
            assert api.get(path, by=owner).status_code == 200
        assert len(statements) <= most, statements
