"""CPU time of single routes, in process: what the application costs, without any server.

    python -m benchmarks.routes MATERIAL.json [--profile V] 2>/dev/null   # the log goes to standard error

Prints microseconds a request, the ratio to /health, which runs through the same gateway, and how
many times as much hot routes cost through Flask. Only ratios within one run mean anything. The
settings come from the environment; MATERIAL is written by ``benchmarks.seed`` on the same database.
Jobs: V validate, R who is signed in, L list.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from devforge_api.app import create_app

ROUNDS, REQUESTS = 5, 400
HOT = ("V", "R")
Environ = dict[str, Any]


def jobs(material: dict[str, Any]) -> dict[str, Callable[[int], Environ]]:
    """How each job's n-th request is made."""
    pairs, tokens = material["pairs"], material["tokens"]

    def validate(number: int) -> Environ:
        key, fingerprint = pairs[number % len(pairs)]
        body = {"key": key, "fingerprint": fingerprint}
        return _environ("/api/v1/licenses/validate", method="POST", json=body)

    def signed_in(path: str) -> Callable[[int], Environ]:
        return lambda number: _environ(
            path, headers={"Authorization": f"Bearer {tokens[number % min(100, len(tokens))]}"}
        )

    return {
        "health": lambda _: _environ("/health"),
        "V": validate,
        "R": signed_in("/api/v1/auth/me"),
        "L": signed_in("/api/v1/auth/sessions"),
    }


def _environ(path: str, **request: Any) -> Environ:
    return EnvironBuilder(path=path, environ_base={"REMOTE_ADDR": "127.0.0.1"}, **request).get_environ()


def run(app: Flask, make: Callable[[int], Environ], first: int) -> float:
    """CPU microseconds a request, over one round; every answer must be a 200."""
    statuses: list[str] = []
    requests = [make(first + number) for number in range(REQUESTS)]
    began = time.process_time()
    for environ in requests:
        b"".join(app.wsgi_app(environ, lambda status, *_: statuses.append(status)))  # type: ignore[arg-type]
    spent = time.process_time() - began
    assert set(statuses) == {"200 OK"}, set(statuses)
    return spent / REQUESTS * 1e6


def main() -> None:
    """Measure every job in turn, or profile one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("material", type=Path)
    parser.add_argument("--profile", choices=["V", "R", "L"])
    options = parser.parse_args()
    app, through_flask = create_app(), create_app(HOT_ROUTES=False)
    todo = jobs(json.loads(options.material.read_text()))
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(run, app, todo[options.profile], 0)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(50)
        return
    found: dict[str, list[float]] = {name: [] for name in todo}
    longer: dict[str, list[float]] = {name: [] for name in HOT}
    for round_ in range(ROUNDS + 1):
        for name, make in todo.items():
            spent = run(app, make, round_ * REQUESTS)
            if round_:  # the first one warms up
                found[name].append(spent)
            if name in HOT:
                ordinary = run(through_flask, make, round_ * REQUESTS)
                longer[name] += [ordinary / spent] if round_ else []
    base = statistics.median(found["health"])
    for name, values in found.items():
        middle = statistics.median(values)
        ratio = f"{statistics.median(longer[name]):8.2f} x through Flask" if name in HOT else ""
        print(f"{name:<8}{middle:8.0f} µs{middle / base:8.2f} x health{ratio}")


if __name__ == "__main__":
    main()
