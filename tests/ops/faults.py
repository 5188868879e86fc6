"""A running server whose Redis and PostgreSQL a test may take away, and what callers see of it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devforge_api.app import create_app
from devforge_api.core.db import db
from tests import servers
from tests.conftest import migrate, settings_for
from tests.factories import PASSWORD, V1, Api, Person
from tests.ops.conftest import Server, running, until

MANY = 24  # calls in a row: that one of two workers gets none of them has a chance of 1 in 8 million
STALL_SECONDS = 0.5  # what an outage may add to a call; Redis is waited for 0.2 s at a time
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Seen:
    """An answer as its caller sees it."""

    status: int
    headers: dict[str, str]  # names in small letters
    body: Any
    seconds: float

    @property
    def code(self) -> str | None:
        """The error's code in the envelope; None where all is well."""
        return None if self.status < 400 else str(self.body["error"]["code"])


@dataclass(frozen=True)
class Stage:
    """Two web processes, their own Redis and PostgreSQL, and factories on the same database."""

    server: Server
    redis: servers.Service
    postgres: servers.Service
    api: Api

    def call(self, method: str, path: str, body: Any = None, by: Person | None = None) -> Seen:
        """One call on a connection of its own; anything but an envelope fails the test."""
        sent = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **(by.headers if by else {})}
        began = time.monotonic()
        answer, text = self.server.ask(path, method=method, body=sent, headers=headers)
        seconds = time.monotonic() - began
        found = json.loads(text) if text else None
        assert found is None or found["success"] == (answer.status < 400)
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Seen(answer.status, fields, found, seconds)

    def me(self, person: Person) -> Seen:
        return self.call("GET", f"{V1}/auth/me", by=person)

    def sign_in(self, person: Person) -> Seen:
        return self.call("POST", f"{V1}/auth/login", {"email": person.email, "password": PASSWORD})

    def register(self) -> Seen:
        body = {"email": f"new{next(_numbers)}@example.com", "password": "staple orbit lantern"}
        return self.call("POST", f"{V1}/auth/register", body)

    def sign_out(self, person: Person) -> Seen:
        return self.call("POST", f"{V1}/auth/logout", {}, by=person)

    def validate(self, key: str) -> Seen:
        return self.call("POST", f"{V1}/licenses/validate", {"key": key})

    def health(self) -> Seen:
        return self.call("GET", "/health")

    def ready(self) -> Seen:
        return self.call("GET", "/ready")

    def recover(self) -> None:
        """Bring back what is away, and wait until the server has noticed."""
        self.postgres.start()
        self.redis.start()
        with self.api.app.app_context():
            db.engine.dispose()  # the factories' connections were cut as well
        until(lambda: self.ready().status == 200, "the server does not recover")
        until(lambda: self.register().status == 201, "nobody can register")


def slowest(calls: list[Callable[[], Seen]], times: int = 6) -> float:
    """Seconds that the slowest of these calls took."""
    return max(call().seconds for _ in range(times) for call in calls)


def failed_parts(seen: Seen) -> set[str]:
    """The parts that an answer of /ready names."""
    checks = seen.body["error"]["params"]["checks"]
    return {name for name, check in checks.items() if not check["ok"]}


@contextmanager
def stage(folder: Path, *, tables_on: Path | None = None, **settings: str) -> Iterator[Stage]:
    """Two workers on a database and a Redis of their own, both empty.

    :param tables_on: an empty folder of PostgreSQL's user, on a disk of its own.
    """
    place = {"default_tablespace": "elsewhere"} if tables_on else {}
    with servers.postgres_service(**place) as postgres, servers.redis_service() as redis:
        if tables_on:
            servers.create_tablespace(postgres.url, "elsewhere", tables_on)
        address = servers.create_database(postgres.url, "faults")
        environ = settings_for("production", folder, address, redis.url)
        environ |= {"DEVFORGE_WEB_WORKERS": "2", **settings}
        migrate(environ)
        app = create_app(environ)
        with running(environ, folder) as server:
            try:
                yield Stage(server, redis, postgres, Api(app))
            finally:
                with app.app_context():
                    db.engine.dispose()
