"""What an operator does about files."""

import json
import os
from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.jobs import run_due
from devforge_api.core.storage.base import new_key
from devforge_api.core.storage.configured import storage
from devforge_api.files.models import File
from tests.factories import code_of
from tests.files.samples import TEXT, picture, upload


def run(api, *arguments):
    return api.app.test_cli_runner().invoke(args=["files", *arguments])


def rows(done):
    return json.loads(done.stdout)


def orphan(api, *, days):
    """A content that no row names."""
    key = new_key()
    with api.app.app_context():
        folder = api.app.config["DATA_DIR"] / "files" / key[:2] / key[2:4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(b"12345")
        at = (utc_now() - timedelta(days=days)).timestamp()
        os.utime(folder / key, (at, at))
    return key


def age_all(api):
    """Everything that is kept is two days old."""
    at = (utc_now() - timedelta(days=2)).timestamp()
    for path in (api.app.config["DATA_DIR"] / "files").rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))


def test_orphans_are_shown_and_removed_and_nothing_else(lone, kept):
    api = lone()
    upload(api, picture(), "a.png", by=api.person())
    api.deliver()
    age_all(api)
    ours = kept(api)
    old, young = orphan(api, days=2), orphan(api, days=0.9)
    shown = run(api, "orphans", "--dry-run", "--json")
    assert (shown.exit_code, [row["key"] for row in rows(shown)]) == (0, [old])
    assert "1 contents of 5 bytes would be removed" in shown.stderr
    assert set(kept(api)) == {*ours, old, young}
    done = run(api, "orphans")
    assert (done.exit_code, old in done.stdout) == (0, True)
    assert set(kept(api)) == {*ours, young}
    assert "None." in run(api, "orphans").stdout


def test_orphans_are_removed_daily_a_page_at_a_time(lone, kept, monkeypatch):
    from devforge_api.files.service import orphans

    monkeypatch.setattr(orphans, "PAGE", 3)
    api = lone()
    upload(api, picture(), "a.png", by=api.person())
    api.deliver()
    age_all(api)
    ours = kept(api)
    for _ in range(10):
        orphan(api, days=2)
    with api.app.app_context():
        assert "files.orphans" in run_due()
    api.deliver()
    assert kept(api) == ours


def test_files_are_listed_without_names_and_shown_with_them(lone):
    api = lone()
    ada = api.person()
    file = upload(api, TEXT, "private plan.txt", by=ada).json["data"]
    upload(api, TEXT, "other.txt", by=api.person())
    listed = run(api, "list", "--json", "--user", str(ada.id), "--status", "available")
    assert [row["id"] for row in rows(listed)] == [file["id"]]
    assert "private plan" not in listed.stdout
    assert run(api, "list").exit_code == 0
    shown = run(api, "show", file["id"], "--json")
    assert rows(shown)[0]["name"] == "private plan.txt"
    assert "private plan.txt" in run(api, "show", file["id"]).stdout
    missing = run(api, "show", str(ada.id))
    assert (missing.exit_code, "FILE_NOT_FOUND" in missing.stderr) == (1, True)


def test_a_new_signature_finds_what_was_let_through_and_an_old_one_s_mistake_is_taken_back(lone, clamd, kept):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    ada = api.person()
    fine, bad = (upload(api, data, by=ada).json["data"]["id"] for data in (b"fine", b"new kind"))
    wrong = upload(api, b"harmful bytes of the tests", by=ada).json["error"]["params"]["file_id"]
    clamd.known = {b"new kind"}
    done = run(api, "scan", "--all", "--quarantined", "--json")
    assert done.exit_code == 1
    assert {row["id"]: row["found"] for row in rows(done)} == {
        fine: "clean",
        bad: "malware",
        wrong: "released",
    }
    assert code_of(api.get(f"/files/{bad}/content", by=ada)) == "CONTENT_NOT_FOUND"
    with api.app.app_context():
        run_due()
    api.deliver()
    assert api.get(f"/files/{wrong}/content", by=ada).status_code == 200
    again = run(api, "scan", fine, wrong)
    assert (again.exit_code, "2 files looked through, 0 of them bad" in again.stdout) == (0, True)
    clamd.mood = "resets"
    away = run(api, "scan", fine)
    assert (away.exit_code, "could not be looked through" in away.stdout) == (1, True)


def test_scanning_wants_a_scanner_and_something_to_scan(lone, clamd):
    refused = run(lone(), "scan", "--all")
    assert (refused.exit_code, "DEVFORGE_FILE_SCANNER" in refused.stderr) == (1, True)
    assert run(lone(DEVFORGE_FILE_SCANNER=clamd.url), "scan").exit_code == 2


def test_broken_pictures_are_not_released_by_a_scan(lone, clamd):
    api = lone(DEVFORGE_FILE_SCANNER=clamd.url)
    whole = picture("JPEG", size=(300, 300), quality=95)
    refused = upload(api, whole[:2000], "a.jpg", by=api.person())
    file_id = refused.json["error"]["params"]["file_id"]
    done = run(api, "scan", file_id, "--json")
    assert (done.exit_code, rows(done)[0]["found"]) == (1, "unreadable_image")


@pytest.mark.parametrize("way", ["folder", "away", "scanner away", "waiting"])
def test_the_doctor_looks_at_storage_and_scanner(lone, clamd, way):
    settings = {"DEVFORGE_FILE_SCANNER": clamd.url}
    if way == "away":
        settings |= {
            "DEVFORGE_STORAGE_URL": "s3://contents", "DEVFORGE_S3_ENDPOINT": "http://127.0.0.1:9",
            "DEVFORGE_S3_ACCESS_KEY_ID": "a", "DEVFORGE_S3_SECRET_ACCESS_KEY": "very-secret",
        }  # fmt: skip
    api = lone(**settings)
    if way == "scanner away":
        clamd.stop()
    if way == "waiting":
        upload(api, TEXT, by=api.person())
        with api.app.app_context(), db.engine.begin() as connection:
            values = {"status": "pending", "due_at": utc_now() - timedelta(hours=1)}
            connection.execute(File.__table__.update().values(**values))
    done = api.app.test_cli_runner().invoke(args=["doctor", "--json"])
    found = [row for row in rows(done) if row["part"] == "files"]
    states = [row["state"] for row in found]
    expected = {
        "folder": ["ok", "ok"],
        "away": ["failed", "ok"],
        "scanner away": ["ok", "failed"],
        "waiting": ["ok", "ok", "warning"],
    }
    assert states == expected[way], found
    assert "very-secret" not in done.stdout
    with api.app.app_context():
        db.session.execute(select(File))
        assert storage()
