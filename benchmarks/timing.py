"""Whether time tells a stranger that somebody has an account: unknown address beside wrong password.

    python -m benchmarks.timing [--count 200] [--column embedded|production] 2>/dev/null

Sends both, interleaved in random order, to the application in this process, with the throttles
raised so that each is hashed. Prints the medians of the clock and of this process's CPU time, their
ratio, and how far the medians of two random halves of all attempts differ: what noise makes of
nothing. On a busy machine the clock tells little; take more attempts.
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import flask_migrate
from flask import Flask

from benchmarks.systems import BUDGETS, LIMIT
from devforge_api.app import create_app
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.keys import ensure_signing_keys
from devforge_api.core.passwords import hash_password
from devforge_api.users import service as users
from tests import servers

KNOWN, UNKNOWN = "wrong password", "unknown address"
PEOPLE, WARMING = 50, 10
DRAWS = 1000  # random halves, for the noise


@contextmanager
def application(column: str) -> Iterator[Flask]:
    """The application on an empty database of this column."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environ = {
            "DEVFORGE_ENV": "testing",
            "DEVFORGE_DATA_DIR": str(folder),
            "DEVFORGE_DATABASE_URL": f"sqlite:///{folder / 'timing.sqlite3'}",
            "DEVFORGE_SECRET_KEY": secrets.token_urlsafe(48),
            "DEVFORGE_MASTER_KEY": secrets.token_urlsafe(48),
            **{f"DEVFORGE_LIMIT_{name}": LIMIT for name in BUDGETS},
        }
        if column == "production":
            server = stack.enter_context(servers.postgres_server())
            name = servers.database_name("timing")
            environ["DEVFORGE_DATABASE_URL"] = servers.create_database(server, name)
            stack.callback(servers.drop_database, server, name)
            environ["DEVFORGE_REDIS_URL"] = stack.enter_context(servers.redis_server())
        app = create_app(environ)
        with app.app_context():
            flask_migrate.upgrade(directory=str(app.config["MIGRATIONS_DIR"]))
            ensure_signing_keys()
            password_hash = hash_password(secrets.token_urlsafe())
            with unit_of_work():
                for number in range(PEOPLE):
                    users.create_user(f"person{number}@example.com", password_hash=password_hash)
        yield app
        with app.app_context():
            db.engine.dispose()


def attempt(app: Flask, kind: str, number: int) -> tuple[float, float]:
    """Milliseconds that one refused sign-in takes, by the clock and of CPU time."""
    name = f"person{number % PEOPLE}" if kind == KNOWN else f"nobody{number % PEOPLE}"
    body = {"email": f"{name}@example.com", "password": "not the password"}
    client = app.test_client()
    began, burnt = time.perf_counter(), time.process_time()
    answer = client.post("/api/v1/auth/login", json=body)
    spent = (time.perf_counter() - began) * 1000, (time.process_time() - burnt) * 1000
    assert answer.status_code == 401, answer.get_data(as_text=True)
    return spent


def measure(app: Flask, count: int) -> dict[str, list[tuple[float, float]]]:
    """The times of both kinds, each ``count`` times in random order."""
    for kind in (KNOWN, UNKNOWN):
        for number in range(WARMING):
            attempt(app, kind, number)
    found: dict[str, list[tuple[float, float]]] = {KNOWN: [], UNKNOWN: []}
    order = [(kind, number) for kind in found for number in range(count)]
    random.shuffle(order)
    for kind, number in order:
        found[kind].append(attempt(app, kind, number))
    return found


def noise(times: list[float]) -> float:
    """How far, in 95 of 100 cases, the ratio of the medians of two random halves is from 1."""
    strays = []
    for _ in range(DRAWS):
        random.shuffle(times)
        half = len(times) // 2
        strays.append(abs(statistics.median(times[:half]) / statistics.median(times[half:]) - 1))
    return statistics.quantiles(strays, n=20)[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="attempts of each kind")
    parser.add_argument("--column", choices=["embedded", "production"], default="embedded")
    options = parser.parse_args()
    with application(options.column) as app:
        found = measure(app, options.count)
    for place, clock in enumerate(("clock", "CPU")):
        times = {kind: [each[place] for each in found[kind]] for kind in found}
        report(clock, times)


def report(clock: str, times: dict[str, list[float]]) -> None:
    """Print what one way of measuring has found."""
    for kind, spent in times.items():
        low, middle, high = statistics.quantiles(spent, n=4)
        print(f"{clock:5} {kind:15} median {middle:6.2f} ms, middle half {low:.2f} to {high:.2f}")
    ratio = statistics.median(times[UNKNOWN]) / statistics.median(times[KNOWN])
    stray = noise(times[KNOWN] + times[UNKNOWN])
    print(f"{clock:5} unknown / wrong {ratio:.4f}; halves of all differ by up to {stray:.4f}")


if __name__ == "__main__":
    main()
