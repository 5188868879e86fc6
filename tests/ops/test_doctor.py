"""``flask doctor``: every fault is made for real, named with what to do, and ends no other check."""

import json
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import redis
from sqlalchemy import func, update

from config import SettingsError
from devforge_api.core import maintenance
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.ops.cli.doctor import report_refused
from devforge_api.ops.doctor import clocks, encrypted
from devforge_api.ops.doctor.report import (
    EXAMINATION_SECONDS,
    Finding,
    Health,
    examine,
    first_line,
    secrets_in,
)
from tests import servers
from tests.conftest import SECRETS
from tests.ops.conftest import ROOT

AWAY = "postgresql://nobody:gehe%40im@127.0.0.1:1/none"
OTHER_KEY = "another-master-key-of-more-than-32-characters"
PARTS = {"settings", "database", "migrations", "storage", "clock of the database"}
PARTS |= {"keys", "secrets", "mail", "billing", "webhooks", "files", "realtime", "jobs", "maintenance"}


@pytest.fixture
def own_redis(monkeypatch):
    """A server whose configuration nobody shares."""
    monkeypatch.delenv(servers.REDIS_VARIABLE, raising=False)
    with servers.redis_server() as url:
        yield url


def ask(app, *, code):
    """The report, as a script gets it; with its exit code checked, and without any secret."""
    done = app.test_cli_runner().invoke(args=["doctor", "--json"])
    assert done.exit_code == code, done.output
    for secret in ("gehe%40im", "gehe@im", *SECRETS.values()):
        assert secret not in done.output
    return json.loads(done.output)


def not_well(report):
    """Part → what was seen and what to do, of everything that is not ok.

    Streams are left out: nobody serves them here (tests/realtime/test_process.py).
    """
    report = [one for one in report if one["part"] != "realtime"]
    for one in report:
        assert one["state"] in {"ok", "warning", "failed"}
        assert one["seen"]
        assert one["advice"] or one["state"] == "ok", one
    return {one["part"]: (one["state"], one["seen"], one["advice"]) for one in report if one["state"] != "ok"}


def test_a_healthy_installation_is_well_in_every_part(app, environ):
    report = ask(app, code=0)
    assert not_well(report) == {}
    with_redis = {"redis", "clock of redis"} if "DEVFORGE_REDIS_URL" in environ else set()
    assert {one["part"] for one in report} == PARTS | with_redis


def test_people_get_a_table(app):
    done = app.test_cli_runner().invoke(args=["doctor"])
    assert done.exit_code == 0
    assert "at head" in done.output
    assert "│" in done.output


@pytest.mark.parametrize("url", [AWAY, "sqlite:////nowhere/db.sqlite3"])
def test_a_database_that_is_away_is_named_and_the_rest_is_looked_at(another_app, url):
    found = not_well(ask(another_app(DATABASE_URL=url), code=1))
    state, seen, advice = found.pop("database")
    assert state == "failed"
    assert "Connection refused" in seen or "unable to open" in seen
    assert "DEVFORGE_DATABASE_URL" in advice or "folder" in advice
    for part in ("migrations", "keys", "secrets", "billing", "webhooks", "files", "jobs", "maintenance"):
        assert found.pop(part)[::2] == ("failed", "see `database` and `migrations`")
    assert set(found) <= {"clock of the database", "storage"}


def test_nothing_that_hangs_hangs_the_report(another_app):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        app = another_app(
            DATABASE_URL=f"postgresql://nobody@{where}/none",
            REDIS_URL=f"redis://{where}/0",
            CELERY_BROKER_URL=f"redis://{where}/1",
        )
        found = not_well(ask(app, code=1))
        assert time.monotonic() - begun < 3 * EXAMINATION_SECONDS
    assert {"database", "migrations", "redis", "clock of redis", "broker", "keys", "jobs"} <= set(found)


@pytest.mark.production_column("SQLite's readers wait for nobody")
def test_a_part_that_does_not_answer_is_told_beside_the_others(app):
    from sqlalchemy import text

    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("LOCK TABLE signing_keys IN ACCESS EXCLUSIVE MODE"))
        found = not_well(ask(app, code=1))
        assert set(found) == {"keys", "secrets"}
        assert found["keys"][1] == "no answer within 5 s"


def test_a_schema_that_is_not_migrated_is_told_what_to_run(another_app, environ, tmp_path, worker_id):
    if "DEVFORGE_REDIS_URL" not in environ:
        app = another_app(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
        found = not_well(ask(app, code=1))
    else:
        name = servers.database_name(f"empty_{worker_id}")
        url = servers.create_database(environ["DEVFORGE_DATABASE_URL"], name)
        try:
            app = another_app(DATABASE_URL=url)
            found = not_well(ask(app, code=1))
            with app.app_context():
                db.engine.dispose()
        finally:
            servers.drop_database(environ["DEVFORGE_DATABASE_URL"], name)
    assert found["migrations"][2] == "run `flask db upgrade`"
    of_the_database = {"keys", "secrets", "billing", "webhooks", "files", "jobs", "maintenance"}
    assert set(found) == {"migrations"} | of_the_database


@pytest.mark.production_column("there is no server to ask")
def test_more_connections_than_the_database_has_are_a_warning(another_app):
    found = not_well(ask(another_app(DATABASE_POOL_SIZE="500"), code=0))
    assert found["database"][0] == "warning"
    assert "504 connections of" in found["database"][1]


def test_the_wrong_master_key_is_a_fault(another_app, api):
    api.license()
    report = ask(another_app(MASTER_KEY=OTHER_KEY), code=1)
    found = not_well(report)
    assert set(found) == {"keys", "secrets"}
    assert not [one for one in report if one["part"] in found and one["state"] == "ok"]
    assert {state for state, _, _ in found.values()} == {"failed"}
    assert "DEVFORGE_MASTER_KEY" in found["keys"][1]
    assert found["secrets"][1] == "1 values of License.encrypted_key open under no listed key"


def test_what_is_left_under_an_old_master_key_is_to_be_moved(another_app, api):
    api.license()
    mine = SECRETS["DEVFORGE_MASTER_KEY"]
    rotating = not_well(ask(another_app(MASTER_KEY=f"{OTHER_KEY},{mine}"), code=0))
    assert set(rotating) == {"secrets"}
    assert rotating["secrets"][0] == "warning"
    assert "flask keys reencrypt" in rotating["secrets"][2]
    rotated = {one["part"]: one["seen"] for one in ask(another_app(MASTER_KEY=f"{mine},{OTHER_KEY}"), code=0)}
    assert "the old one may be dropped" in rotated["secrets"]


def test_secrets_of_which_not_all_can_be_looked_at_may_not_lose_their_old_key(another_app, api, monkeypatch):
    monkeypatch.setattr(encrypted, "SCAN_SECONDS", -1.0)
    two = f"{SECRETS['DEVFORGE_MASTER_KEY']},{OTHER_KEY}"
    found = not_well(ask(another_app(MASTER_KEY=two), code=0))
    assert "before you drop the old key" in found["secrets"][2]


def test_a_database_without_signing_keys_waits_for_its_server(app):
    table = db.metadata.tables["signing_keys"]
    with app.app_context():
        with db.engine.begin() as connection:
            kept = [dict(row._mapping) for row in connection.execute(table.select())]
            connection.execute(table.delete())
        try:
            assert not_well(ask(app, code=0))["keys"][0] == "warning"
        finally:
            with db.engine.begin() as connection:
                connection.execute(table.insert(), kept)


def test_a_redis_that_is_away_or_wants_another_password_is_named(another_app, own_redis, app):
    with redis.Redis.from_url(own_redis) as client:
        client.config_set("requirepass", "right")
        client.auth("right")
        for url in ("redis://127.0.0.1:1/0", own_redis.replace("//", "//:gehe%40im@")):
            found = not_well(ask(another_app(REDIS_URL=url, CELERY_BROKER_URL=url), code=1))
            assert set(found) == {"redis", "clock of redis", "broker"}
            assert "DEVFORGE_REDIS_URL" in found["redis"][2]
            assert "DEVFORGE_CELERY_BROKER_URL" in found["broker"][2]


def test_a_redis_that_may_forget_denials_is_a_fault(another_app, own_redis, app):
    changed = another_app(REDIS_URL=own_redis, CELERY_BROKER_URL=own_redis)
    assert not_well(ask(changed, code=0)) == {}
    with redis.Redis.from_url(own_redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    found = not_well(ask(changed, code=1))
    assert set(found) == {"redis"}
    assert "allkeys-lru" in found["redis"][1]
    assert "noeviction" in found["redis"][2]


@pytest.mark.parametrize("how", ["gone", "a file"])
def test_a_folder_that_cannot_be_written_is_named(another_app, app, tmp_path, how):
    folder = tmp_path / "data"
    changed = another_app(DATA_DIR=str(folder))
    assert not_well(ask(changed, code=0)) == {}
    folder.rmdir()
    if how == "a file":
        folder.touch()
    found = not_well(ask(changed, code=1))
    assert set(found) == {"storage"}
    assert str(folder) in found["storage"][1]


def test_a_disk_that_fills_up_is_a_warning_before_it_is_a_fault(app, monkeypatch):
    from devforge_api.ops import service

    for free, code, state in ((400_000_000, 0, "warning"), (40_000_000, 1, "failed")):
        monkeypatch.setattr(service, "free_bytes", lambda folder, free=free: free)
        found = not_well(ask(app, code=code))
        assert {part: one[0] for part, one in found.items()} == {"storage": state}


@pytest.mark.parametrize("seconds", [-60, 4, 60])
def test_clocks_that_are_far_apart_are_a_fault(app, environ, monkeypatch, seconds):
    monkeypatch.setattr(clocks, "utc_now", lambda: utc_now() + timedelta(seconds=seconds))
    apart = "DEVFORGE_REDIS_URL" in environ and abs(seconds) > clocks.FAR_APART
    found = not_well(ask(app, code=int(apart)))
    assert set(found) == ({"clock of the database", "clock of redis"} if apart else set())
    for state, seen, _ in found.values():
        assert state == "failed"
        assert f"60 s {'behind' if seconds > 0 else 'ahead of'} ours" in seen


def test_events_that_wait_or_were_set_aside_are_told(app, api):
    api.person()
    with app.app_context(), unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now() - timedelta(minutes=6)))
    state, seen, advice = not_well(ask(app, code=1))["jobs"]
    assert (state, advice) == ("failed", "is the worker running?")
    with app.app_context(), unit_of_work():
        db.session.execute(update(OutboxRow).values(status=OutboxStatus.DEAD))
        count = db.session.scalar(db.select(func.count()).select_from(OutboxRow))
    state, seen, advice = not_well(ask(app, code=0))["jobs"]
    assert (state, seen) == ("warning", f"{count} events were set aside")
    assert "flask outbox replay" in advice


def test_a_maintenance_that_goes_on_is_a_warning(app):
    for call, expected in ((lambda: maintenance.begin(None, 60), {"maintenance"}), (maintenance.end, set())):
        with app.app_context(), unit_of_work():
            call()
        assert set(not_well(ask(app, code=0))) == expected


def test_settings_that_are_no_fault_but_not_wise_are_told(another_app):
    strict = another_app(PUBLIC_URL="https://api.example.org", SECRET_KEY="x" * 40)
    found = [one["advice"] for one in ask(strict, code=0) if one["part"] == "settings" and one["advice"]]
    assert found == ["use `openssl rand -base64 48`", "set DEVFORGE_ENV=production"]
    strict.config["REQUIRE_HTTPS"] = True  # as in production
    found = [one["advice"] for one in ask(strict, code=0) if one["part"] == "settings" and one["advice"]]
    assert [advice.split()[1] for advice in found[1:]] == [
        "DEVFORGE_TRUSTED_PROXIES",
        "DEVFORGE_METRICS_TOKEN",
    ]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"DEVFORGE_DATABSE_URL": "sqlite:///x"}, "did you mean DEVFORGE_DATABASE_URL?"),
        ({"DEVFORGE_ENV": "production", "DEVFORGE_SECRET_KEY": "short"}, "is shorter than"),
    ],
)
def test_settings_of_which_no_application_can_be_made_are_told_without_a_traceback(tmp_path, settings, told):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    environ = {**inherited, "DEVFORGE_DATA_DIR": str(tmp_path), **settings}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "doctor"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_start_is_a_report_where_the_doctor_was_asked(capsys):
    report_refused(SettingsError("DEVFORGE_X is not a setting."), ["flask", "serve"])
    assert capsys.readouterr().out == ""
    for error, told in (
        (SettingsError("DEVFORGE_X is not a setting."), "DEVFORGE_X is not a setting."),
        (ValueError("invalid port: 'gehe@im'"), "the application cannot be made: ValueError"),
    ):
        with pytest.raises(SystemExit) as ended:
            report_refused(error, ["flask", "doctor", "--json"])
        assert ended.value.code == 1
        printed = capsys.readouterr().out
        assert "gehe@im" not in printed
        assert not_well(json.loads(printed))["settings"][:2] == ("failed", told)


def test_passwords_in_addresses_and_all_keys_are_secrets():
    settings = {
        "DATABASE_URL": "postgresql://me:a%40b@host/x?sslpassword=c",
        "REDIS_URL": None,
        "MASTER_KEYS": ("new", "old"),
        "METRICS_TOKEN": "figures",
        "HOST": "127.0.0.1",
    }
    assert secrets_in(settings) == {"a%40b", "a@b", "c", "new", "old", "figures"}


def test_a_secret_that_a_part_lets_slip_is_covered(app):
    def careless():
        yield Finding("careless", Health.OK, f"opened with {SECRETS['DEVFORGE_MASTER_KEY']}")
        raise OSError(f"refused {SECRETS['DEVFORGE_SECRET_KEY']}")

    found = examine(app, {"careless": careless})
    assert [(one.health, one.seen) for one in found] == [
        (Health.OK, "opened with ***"),
        (Health.FAILED, "OSError: refused ***"),
    ]


def test_of_a_drivers_words_the_first_line_is_told():
    assert first_line(OSError("first\nsecond")) == "first"
    assert first_line(OSError()) == "OSError"


def test_a_provider_that_is_away_is_a_warning_and_its_secret_is_known_as_one(another_app):
    acme = {"kind": "oidc", "issuer": "http://127.0.0.1:1", "client_id": "x", "client_secret": "gehe@im"}
    app = another_app(IDENTITY_PROVIDERS=json.dumps({"acme": acme}))
    state, seen, advice = not_well(ask(app, code=0))["sign-in by acme"]
    assert (state, seen) == ("warning", "http://127.0.0.1:1: ConnectionError")
    assert "DEVFORGE_IDENTITY_PROVIDERS" in advice
    assert "gehe@im" in secrets_in(app.config)
