"""Erasing what is known of a person, and what stays."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import func, inspect, select

from devforge_api.auth import models as auth
from devforge_api.core.db import db
from devforge_api.licenses.models import LicenseUser, TrialUse
from tests.factories import PASSWORD, code_of
from tests.users.known import HOME, MARKS, everything, step_up


def erased_by_cli(app, api, who):
    done = app.test_cli_runner().invoke(args=["users", "erase", who.email, "--yes", "--json"])
    assert done.exit_code == 0, done.output


def erased_by_admin(app, api, who):
    assert api.delete(f"/users/{who.id}", by=api.admin()).status_code == 204


@pytest.mark.parametrize("erase", [erased_by_cli, erased_by_admin])
def test_after_erasing_nothing_tells_who_it_was(app, api, ada, erase):
    before = list(everything(app))
    for mark in MARKS:
        assert any(mark in row for _, row in before), mark
    erase(app, api, ada)
    left = [(table, mark, row) for table, row in everything(app) for mark in MARKS if mark in row]
    assert left == []
    # What must stay is there: who did what, by ids, and the licence.
    rows = api.get(f"/audit/events?target_id={ada.id}&limit=100", by=api.admin()).json["data"]
    assert {"user.created", "auth.signed_in", "auth.sign_in_failed", "user.updated", "user.deleted"} <= {
        row["action"] for row in rows
    }
    with app.app_context():
        names = set(inspect(db.engine).get_table_names())
        for table in names & {key.parent.table.name for key in references_to_users()}:
            owner = next(key.parent for key in references_to_users() if key.parent.table.name == table)
            count = select(func.count()).select_from(owner.table).where(owner == ada.id)
            assert db.session.scalar(count) == 0, table


def references_to_users():
    tables = db.metadata.tables.values()
    return [key for table in tables for key in table.foreign_keys if key.column.table.name == "users"]


def test_deleting_one_s_own_account_leaves_not_even_the_place_it_was_done_from(app, api, ada):
    step_up(app, ada)
    place = {"environ_base": {"REMOTE_ADDR": HOME}}
    headers = {**ada.headers, "User-Agent": "AdaBrowser/1"}
    assert api.delete("/users/me", headers=headers, **place).status_code == 204
    assert [(table, mark) for table, row in everything(app) for mark in MARKS if mark in row] == []


def test_what_others_did_and_where_they_were_stays(app, api, ada):
    admin = api.admin()
    place = {"environ_base": {"REMOTE_ADDR": "192.0.2.250"}}
    api.patch(f"/users/{ada.id}", {"role": "developer"}, by=admin, **place)
    erased_by_cli(app, api, ada)
    rows = api.get(f"/audit/events?actor_id={admin.id}&target_id={ada.id}", by=admin).json["data"]
    assert [(row["address"], row["changes"]) for row in rows] == [
        ("192.0.2.250", {"role": ["user", "developer"]})
    ]


def test_a_licence_goes_on_without_owner(app, api, ada):
    license_ = api.license(owner=ada)
    erased_by_cli(app, api, ada)
    shown = api.get(f"/licenses/{license_.id}", by=api.admin()).json["data"]
    assert shown["user_id"] is None
    verdict = api.post("/licenses/validate", {"key": license_.key}).json["data"]
    assert verdict["valid"] is True


def test_whoever_is_erased_leaves_others_licences_with_a_true_count_and_no_trial_of_theirs(app, api, ada):
    with app.app_context():
        theirs = select(LicenseUser.license_id).where(LicenseUser.user_id == ada.id)
        shared = db.session.scalars(theirs).one()
    path = f"/licenses/{shared}"
    assert api.get(path, by=api.admin()).json["data"]["limits"]["users"]["taken"] == 1
    erased_by_admin(app, api, ada)
    assert api.get(path, by=api.admin()).json["data"]["limits"]["users"]["taken"] == 0
    with app.app_context():
        for table in (LicenseUser, TrialUse):
            assert db.session.scalar(select(func.count()).select_from(table)) == 0


def test_a_dry_run_tells_the_same_and_changes_nothing(app, api, ada):
    run = partial(app.test_cli_runner().invoke)
    before = sorted(everything(app))
    dry = run(args=["users", "erase", ada.email, "--dry-run", "--json"])
    assert dry.exit_code == 0, dry.output
    assert sorted(everything(app)) == before
    assert api.get("/auth/me", by=ada).status_code == 200
    told = json.loads(dry.stdout)
    real = json.loads(run(args=["users", "erase", ada.email, "--yes", "--json"]).stdout)

    def counts(rows):
        return {(row["domain"], row["table"], row["deed"]): row["rows"] for row in rows}

    differences = {key for key in counts(real) if counts(real)[key] != counts(told)[key]}
    assert counts(told).keys() == counts(real).keys()
    assert differences <= {("audit", "audit_events", "anonymized")}  # the erasure's own event
    assert counts(real)["account", "users", "removed"] == 1
    assert counts(real)["sign_in", "sessions", "removed"] == 2
    assert counts(real)["licenses", "machines", "anonymized"] == 1
    assert counts(real)["licenses", "license_users", "removed"] == 1
    assert counts(real)["licenses", "trial_uses", "removed"] == 1


def test_erasing_asks_first_and_keeps_the_last_admin(app, api, ada):
    run = partial(app.test_cli_runner().invoke)
    assert run(args=["users", "erase", ada.email], input="n\n").exit_code == 1
    assert api.get("/auth/me", by=ada).status_code == 200
    root = api.admin()
    for more in ("--yes", "--dry-run"):
        refused = run(args=["users", "erase", root.email, more])
        assert (refused.exit_code, "LAST_ADMIN" in refused.stderr) == (1, True)
    assert run(args=["users", "erase", ada.email], input="y\n").exit_code == 0
    assert code_of(api.get("/auth/me", by=ada)) == "TOKEN_REVOKED"


def test_nobody_loses_a_waiting_licence_to_a_stranger_with_their_address(app, api):
    """Whoever has registered with an address, without verifying it, speaks for nobody."""
    stranger = api.person(email="victim@example.com", verified=False)
    license_ = api.license(email="victim@example.com")
    erased_by_admin(app, api, stranger)
    victim = api.person(email="victim@example.com")
    api.deliver()
    assert api.get(f"/licenses/{license_.id}", by=victim).status_code == 200


def test_erasing_while_signing_in_and_activating_leaves_nothing(app, api):
    admin = api.admin()
    for number in range(6):
        email = f"racer.{number}@example.com"
        who = api.person(email=email)
        license_ = api.license(owner=who)
        place = {"environ_base": {"REMOTE_ADDR": f"198.51.100.{100 + number}"}}
        calls = [
            partial(api.post, "/auth/login", {"email": email, "password": PASSWORD}, **place),
            partial(api.post, "/auth/login", {"email": email, "password": "wrong one"}, **place),
            partial(api.post, "/auth/refresh", {"refresh_token": who.refresh_token}, **place),
            partial(api.patch, "/users/me", {"name": "Racer"}, by=who, **place),
            partial(api.delete, f"/users/{who.id}", by=admin),
        ]
        order = calls if number % 2 else calls[::-1]
        with ThreadPoolExecutor(len(order)) as pool:
            answers = [future.result() for future in [pool.submit(call) for call in order]]
        codes = [answer.status_code for answer in answers]
        assert 204 in codes, [answer.json for answer in answers]
        assert set(codes) <= {200, 204, 401, 404, 409, 412}, codes
        with app.app_context():
            assert (
                db.session.scalar(
                    select(func.count()).select_from(auth.Session).where(auth.Session.user_id == who.id)
                )
                == 0
            )
            events = db.metadata.tables["audit_events"]
            theirs = (events.c.target_id == who.id) | (events.c.actor_id == who.id)
            seen = db.session.execute(
                select(events.c.action, events.c.address).where(theirs, events.c.address.is_not(None))
            ).all()
            assert [row for row in seen if row.address == f"198.51.100.{100 + number}"] == []
        assert api.get(f"/licenses/{license_.id}", by=admin).json["data"]["user_id"] is None
