"""What is known of a person, handed out as a whole."""

import json
import os
import stat
from functools import partial

import pytest
from sqlalchemy import Uuid, select

from devforge_api import registry
from devforge_api.core.db import db
from devforge_api.events import EVENTS
from tests.factories import code_of
from tests.users.known import HOME, opened, step_up

SECRET_NAMES = ("hash", "secret", "password", "encrypted", "params", "answer", "code", "key")
NOT_SECRET = {"waiting_email_key", "email_key", "key"}  # an address, an address, the client's own word


# --- the registry -----------------------------------------------------------------------------


def test_every_table_belongs_to_one_domain_s_part_or_holds_nothing_personal():
    told = [table for part in registry.PERSONAL_DATA for table in part.tables]
    assert len(told) == len(set(told))
    assert set(told) | set(registry.NOT_PERSONAL) == set(db.metadata.tables)
    assert not set(told) & set(registry.NOT_PERSONAL)


def test_no_table_that_names_a_person_is_called_impersonal():
    for name in registry.NOT_PERSONAL:
        table = db.metadata.tables[name]
        assert not {key.column.table.name for key in table.foreign_keys} & {"users"}, name
        for column in table.columns:
            words = set(column.name.split("_"))
            assert not words & {"user", "owner", "actor", "email", "recipient", "address", "ip"}, column
            assert not (isinstance(column.type, Uuid) and words & {"person", "by"}), column


def test_events_name_things_by_their_ids_and_people_not_in_clear():
    """Or what they tell would have to be erased, too."""
    for name, kind in EVENTS.items():
        for key in kind.keys:
            known = {"provider", "since", "until", "keys", "after_key"}  # keys of contents are random
            harmless = key.endswith(("_id", "_ids")) or key in known or name == "auth.denied"
            assert harmless or "encrypted" in kind.meaning, f"{name}: {key}"


# --- export -----------------------------------------------------------------------------------


def test_one_s_own_export_holds_every_topic_and_no_secret(app, api, ada):
    step_up(app, ada)
    answer = api.get("/users/me/export", by=ada)
    assert answer.status_code == 200
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={ada.id}.zip"
    assert answer.headers["Cache-Control"] == "no-store"
    files = opened(answer.data)
    manifest = files.pop("manifest.json")
    assert (manifest["user_id"], manifest["email"]) == (str(ada.id), ada.email)
    assert {one["file"]: one["rows"] for one in manifest["files"] if "rows" in one} == {
        name: len(rows) for name, rows in files.items()
    }
    # Of buyers: tests/billing/test_erasing_buyers.py.
    empty = {name for name, rows in files.items() if not rows and not name.startswith("billing/")}
    assert empty <= {"requests/idempotency_keys.json", "audit/events_by_others.json"}
    profile = files["account/profile.json"][0]
    assert (profile["name"], profile["settings"]) == ("Ada L.", {"theme": "Ada L's"})
    assert {row["address"] for row in files["sign_in/sessions.json"]} == {None, HOME}
    assert files["licenses/machines.json"][0]["name"] == "Ada's laptop"
    names = {name for rows in files.values() for row in rows for name in row}
    assert [name for name in names - NOT_SECRET if set(name.split("_")) & set(SECRET_NAMES)] == []
    with app.app_context():
        stored = db.session.execute(select(db.metadata.tables["users"].c.password_hash)).scalars().all()
    text = json.dumps(files)
    for secret in (*stored, "a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64, "f" * 64, "https://secret"):
        assert secret not in text


def test_an_export_tells_of_nobody_else(app, api, ada):
    other = api.person(email="eve@example.com")
    api.license(owner=other)
    admin = api.admin()
    place = {"environ_base": {"REMOTE_ADDR": "192.0.2.250"}}
    api.patch(f"/users/{ada.id}", {"role": "developer"}, by=admin, **place)
    files = opened(api.get(f"/users/{ada.id}/export", by=admin).data)
    text = json.dumps(files)
    for foreign in ("eve@example.com", str(other.id), "192.0.2.250", admin.email):
        assert foreign not in text
    assert [row["action"] for row in files["audit/events_by_others.json"]] == [
        "user.updated",
        "user.exported",
    ]


def test_exporting_needs_a_recent_proof_and_is_noted_and_limited(app, api, ada, monkeypatch):
    assert code_of(api.get("/users/me/export", by=ada)) == "REAUTH_REQUIRED"
    step_up(app, ada)
    api.get("/users/me/export", by=ada)
    rows = api.get("/audit/events?action=user.exported", by=api.admin()).json["data"]
    assert [(row["actor_id"], row["target_id"]) for row in rows] == [(str(ada.id), str(ada.id))]


def test_exports_are_few(api, ada, app, make_limited):
    calls = make_limited(LIMIT_EXPORTS=2)
    admin = api.admin()
    codes = [calls.get(f"/users/{ada.id}/export", by=admin).status_code for _ in range(3)]
    assert codes == [200, 200, 429]


@pytest.mark.parametrize("role", ["user", "support"])
def test_who_may_not_change_users_may_not_export_them(api, ada, role):
    refused = api.get(f"/users/{ada.id}/export", by=api.person(role=role))
    assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")


def test_pages_of_rows_are_all_exported_once(app, api, ada, monkeypatch):
    from devforge_api.core import personal_data

    before = opened(api.get(f"/users/{ada.id}/export", by=api.admin()).data)
    monkeypatch.setattr(personal_data, "PAGE", 2)
    after = opened(api.get(f"/users/{ada.id}/export", by=api.admin()).data)
    ids = [row["id"] for row in after["audit/events.json"]]
    assert len(ids) == len(set(ids)) > 4
    assert set(ids) >= {row["id"] for row in before["audit/events.json"]}


def test_the_operator_exports_into_a_file_of_one_s_own(app, ada, tmp_path):
    run = partial(app.test_cli_runner().invoke)
    target = tmp_path / "ada.zip"
    previous = os.umask(0)
    try:
        done = run(args=["users", "export", "ADA.lovelace@example.com", "--output", str(target)])
    finally:
        os.umask(previous)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert opened(target.read_bytes())["manifest.json"]["email"] == ada.email
    refused = run(args=["users", "export", ada.email, "--output", str(target)])
    assert (refused.exit_code, "--force" in refused.stderr) == (1, True)
    target.write_bytes(b"x" * 1_000_000)
    target.chmod(0o644)
    assert run(args=["users", "export", ada.email, "--output", str(target), "--force"]).exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert opened(target.read_bytes())["manifest.json"]["user_id"] == str(ada.id)
