"""Every test that takes `app` runs twice: on the embedded column (SQLite, no Redis) and on the
production column (PostgreSQL, Redis). Both schemas were built by the migrations.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import flask_migrate
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from redis.connection import AbstractConnection
from sqlalchemy import event
from sqlalchemy.engine import Engine
from werkzeug.serving import make_server

from devforge_api.app import create_app
from devforge_api.core.db import db
from devforge_api.core.keys import ensure_signing_keys
from devforge_api.core.news import News
from devforge_api.core.statements import _Compiled
from tests import servers
from tests.core.happenings import hearing
from tests.factories import Api
from tests.mailbox import Mailbox

SECRETS = {
    "DEVFORGE_SECRET_KEY": "tests-sign-cursors-with-these-43-characters",
    "DEVFORGE_MASTER_KEY": "tests-encrypt-secrets-with-these-44-letters-",
}
NOT_COUNTED = ("BEGIN", "COMMIT", "PRAGMA", "SAVEPOINT", "RELEASE")
KEPT_TABLES = {"signing_keys"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also fuzzing, a browser and Node's tools")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {item for item in items if _is_left_out(item, everything=config.getoption("--all"))}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item, *, everything: bool) -> bool:
    if item.get_closest_marker("extended") and not everything:
        return True
    callspec = getattr(item, "callspec", None)
    embedded = callspec is not None and callspec.params.get("environ") == "embedded"
    return embedded and item.get_closest_marker("production_column") is not None


def pytest_configure(config: pytest.Config) -> None:
    # A shell without job control starts what runs in the background with these ignored; the servers
    # of the tests would inherit it, and could not be stopped.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    servers.share_with_workers(config)


def settings_for(backend: str, data_dir: Path, database_url: str, redis_url: str | None) -> dict[str, str]:
    """The environment of one column, for an application in this process or in another."""
    environ = {
        "DEVFORGE_ENV": "testing",
        "DEVFORGE_DATA_DIR": str(data_dir),
        "DEVFORGE_DATABASE_URL": database_url,
        **SECRETS,
    }
    return environ | ({"DEVFORGE_REDIS_URL": redis_url} if redis_url else {})


def migrate(environ: dict[str, str]) -> None:
    app = create_app(environ)
    with app.app_context():
        flask_migrate.upgrade(directory=str(app.config["MIGRATIONS_DIR"]))
        ensure_signing_keys()
        db.engine.dispose()


@pytest.fixture(scope="session", params=["embedded", "production"])
def environ(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[dict[str, str]]:
    """The settings of one column, with a migrated database of this worker's own."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        found = settings_for("embedded", folder, f"sqlite:///{folder / 'test.sqlite3'}", None)
        migrate(found)
        yield found
        return

    def migrate_at(url: str) -> None:
        migrate(settings_for("production", folder, url, None))

    with (
        servers.postgres_server() as server,
        servers.redis_server() as redis_server,
        servers.migrated_database(server, worker_id, migrate_at) as url,
    ):
        yield settings_for("production", folder, url, servers.redis_database(redis_server, worker_id))


@pytest.fixture(scope="session")
def shared_app(environ: dict[str, str]) -> Iterator[Flask]:
    app = create_app(environ)
    app.extensions["test-environ"] = environ  # for a second application on the same column
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """The application, on an empty database."""
    yield shared_app
    empty(shared_app)


def empty(app: Flask) -> None:
    """Forget everything that a test has left: rows, counts, denials."""
    with app.app_context():
        with db.engine.begin() as connection:
            for table in reversed(db.metadata.sorted_tables):
                if table.name not in KEPT_TABLES:
                    connection.execute(table.delete())
        db.session.remove()
    state = app.extensions["devforge-limits"]
    state.shared.storage.reset()
    state.local.storage.reset()
    if url := app.config["REDIS_URL"]:
        with redis.Redis.from_url(url) as client:
            client.flushdb()


@pytest.fixture
def on_postgresql(app: Flask) -> bool:
    return str(app.config["DATABASE_URL"]).startswith("postgresql")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def api(app: Flask) -> Api:
    """Users, licences and calls in a line each: see tests/factories."""
    return Api(app)


@pytest.fixture
def make_api(app: Flask, environ: dict[str, str]) -> Iterator[Callable[..., Api]]:
    """Further applications on this column's database: settings by ``DEVFORGE_…``, others by key."""
    made: list[Flask] = []

    def make(**values: Any) -> Api:
        settings = {key: value for key, value in values.items() if key.startswith("DEVFORGE_")}
        overrides = {key: value for key, value in values.items() if key not in settings}
        made.append(create_app(environ | settings, **overrides))
        return Api(made[-1])

    yield make
    for one in made:
        with one.app_context():
            db.engine.dispose()


@pytest.fixture
def mailbox(app: Flask) -> Iterator[Mailbox]:
    """The letters that are sent from now on: see tests/mailbox.py."""
    found = Mailbox(app)
    yield found
    found.empty()


@pytest.fixture
def heard(app: Flask) -> Iterator[list[News]]:
    """The news from now on, but for those of the accounts that tests make; `api.deliver` tells them."""
    found: list[News] = []

    def hear(item: News) -> None:
        if not item.name.startswith(("user.", "auth.")):
            found.append(item)

    with hearing(hear):
        yield found


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests of services."""
    with app.app_context():
        yield


@pytest.fixture
def count_queries(app: Flask) -> Callable[..., AbstractContextManager[list[str]]]:
    """The statements that a block sends to the database, transaction control left out."""

    @contextmanager
    def counting(*, with_maintenance: bool = False) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            # Maintenance is looked for once a second, by whatever request comes then.
            counted = not statement.lstrip().upper().startswith(NOT_COUNTED)
            if counted and (with_maintenance or "FROM maintenance" not in statement):
                seen.append(statement)

        def run(compiled: Any, *args: Any) -> Any:
            seen.append(compiled.text)
            return kept(compiled, *args)

        kept = _Compiled.run
        event.listen(Engine, "before_cursor_execute", note)
        try:
            with patch.object(_Compiled, "run", run):  # runs past the engine
                yield seen
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def redis_commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the commands that this process sends to Redis."""
    seen: list[str] = []
    genuine: Callable[..., Any] = AbstractConnection.send_packed_command

    def send(self: Any, command: Any, check_health: bool = True) -> Any:
        packed = command if isinstance(command, bytes) else b"".join(command)
        seen.append(packed.split(b"\r\n")[2].decode())
        return genuine(self, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send)
    return seen


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The application, served by threads of this process."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
