"""Health and readiness: each part that is missing is named; none that hangs hangs the answer."""

import shutil
import socket
from datetime import timedelta

import pytest
from sqlalchemy import text

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow
from tests.factories import code_of


def ready(app):
    return app.test_client().get("/ready")


def failing(answer):
    """The parts that an answer of 503 names, with their details."""
    assert (answer.status_code, code_of(answer)) == (503, "NOT_READY")
    assert answer.headers["Retry-After"] == "5"
    checks = answer.json["error"]["params"]["checks"]
    failed = {name: check["detail"] for name, check in checks.items() if not check["ok"]}
    for name in failed:
        assert name in answer.json["error"]["message"]
    return failed


@pytest.fixture
def black_hole():
    """The address of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_health_is_the_process_alone(client, count_queries):
    with count_queries() as seen:
        answer = client.get("/health")
    assert (answer.status_code, answer.json) == (200, {"success": True, "data": {"status": "ok"}})
    assert seen == []
    assert answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_part_is_named_when_all_are_there(app, environ):
    answer = ready(app)
    assert answer.status_code == 200
    parts = {"database", "migrations", "data_folder", "jobs"}
    parts |= {"redis"} if "DEVFORGE_REDIS_URL" in environ else set()
    assert answer.json["data"]["status"] == "ready"
    assert {name for name, check in answer.json["data"]["checks"].items() if check["ok"]} == parts


def test_probes_are_charged_to_nobody_and_need_no_https(another_app, app):
    strict = another_app(LIMIT_ANONYMOUS="1")
    strict.config["REQUIRE_HTTPS"] = True
    client = strict.test_client()
    for path in ("/health", "/ready"):
        assert [client.get(path).status_code for _ in range(3)] == [200] * 3
        assert "RateLimit-Limit" not in client.get(path).headers


def test_a_database_that_is_not_migrated_is_told_what_to_run(app):
    with app.app_context(), db.engine.begin() as connection:
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'old'"))
    try:
        assert failing(ready(app)) == {"migrations": "run `flask db upgrade`"}
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    assert ready(app).status_code == 200


def test_an_empty_database_is_told_what_to_run(another_app, tmp_path):
    app = another_app(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    assert failing(ready(app))["migrations"] == "run `flask db upgrade`"


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/db.sqlite3"])
def test_a_database_that_is_away_is_named_without_its_address(another_app, url):
    answer = ready(another_app(DATABASE_URL=url))
    assert set(failing(answer)) == {"database", "migrations", "jobs"}
    assert "nobody" not in answer.text
    assert "nowhere" not in answer.text


def test_a_database_that_hangs_does_not_hang_the_answer(another_app, black_hole):
    app = another_app(DATABASE_URL=f"postgresql://nobody@{black_hole}/none")
    assert failing(ready(app))["database"] == "no answer within 2 s"
    assert app.test_client().get("/health").status_code == 200


@pytest.mark.production_column("SQLite's readers wait for nobody")
def test_a_statement_that_hangs_is_waited_for_by_one_thread(app):
    import threading

    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        for _ in range(2):
            assert failing(ready(app)) == {"migrations": "no answer within 2 s"}
        waiting = [thread for thread in threading.enumerate() if thread.name == "ready-migrations"]
        assert len(waiting) == 1
        assert waiting[0].daemon
    waiting[0].join()
    assert ready(app).status_code == 200


def test_a_redis_that_is_away_or_hangs_is_named(another_app, black_hole, app):
    away = failing(ready(another_app(REDIS_URL="redis://127.0.0.1:1/0")))
    assert away == {"redis": "ConnectionError"}
    assert set(failing(ready(another_app(REDIS_URL=f"redis://{black_hole}/0")))) == {"redis"}


def test_a_data_folder_that_is_gone_is_named_without_its_place(another_app, app, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    changed = another_app(DATA_DIR=str(folder))
    assert ready(changed).status_code == 200
    shutil.rmtree(folder)
    answer = ready(changed)
    assert set(failing(answer)) == {"data_folder"}
    assert str(tmp_path) not in answer.text


def test_events_that_are_not_delivered_are_named(app):
    with app.app_context(), unit_of_work():
        waiting = {"name": "user.created", "subscriber": "nobody", "payload": {}, "request_id": "-"}
        db.session.add(OutboxRow(**waiting, next_attempt_at=utc_now() - timedelta(minutes=4)))
    assert ready(app).status_code == 200
    with app.app_context(), unit_of_work():
        db.session.add(OutboxRow(**waiting, next_attempt_at=utc_now() - timedelta(minutes=6)))
    assert "the worker" in failing(ready(app))["jobs"]
