"""One run of one load on one server, with the CPU time that everybody spent on it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from os import cpu_count, getpid
from typing import Any

import redis

from benchmarks.load import exchange, load, silent_connections, still_open
from benchmarks.parts import Parts, say
from benchmarks.proctime import Snapshot
from benchmarks.scenarios import OURS, Scenario
from benchmarks.systems import Server

Row = dict[str, Any]
ASKED = 20  # first answers to compare
WARM_UP_SECONDS = 2
NEW_ADDRESS = b"203.0.113.77"
QUIET, LOOK_SECONDS, SETTLING_SECONDS = 0.2, 0.25, 30.0  # shares of a core; an idle server polls
ATTEMPTS, STRETCH = 3, 1.5  # a virtual machine may be halted in the middle of a run
SILENT_SECONDS = 8  # Dev Forge API closes a connection that sends no headers for ten seconds


class Refusal(Exception):
    """Nothing can be measured; the text says why, and what to do."""


@dataclass(frozen=True)
class Bench:
    """The running servers, and whose CPU time is counted beside theirs."""

    servers: list[Server]
    parts: Parts

    @property
    def ours(self) -> Server:
        """Dev Forge API."""
        return next(server for server in self.servers if server.name == OURS)


def measure(bench: Bench, server: Server, scenario: Scenario, *, seconds: int, round_: int) -> Row:
    """Run wrk once, or again if the machine stood still meanwhile; a row of figures.

    ``rate`` in answers a second, refusals left out; times in milliseconds, CPU time in microseconds
    a request. ``others`` is the share of the machine that was busy with none of this.
    ``silent_open`` is how many of the silent connections the server still held in the end.

    :raises Refusal: it stood still each time.
    """
    seconds = min(seconds, SILENT_SECONDS) if scenario.silent else seconds
    for _ in range(ATTEMPTS):
        row = _measure(bench, server, scenario, seconds)
        if row["seconds"] <= seconds * STRETCH + 1:
            return {"scenario": scenario.name, "system": server.name, "round": round_, **row}
        say(f"{seconds} seconds lasted {row['seconds']:.0f}; again …")
    raise Refusal("The machine stands still for seconds at a time: nothing can be measured on it now.")


def _measure(bench: Bench, server: Server, scenario: Scenario, seconds: int) -> Row:
    with ExitStack() as stack:
        held = stack.enter_context(silent_connections(server.port, scenario.silent))
        before = Snapshot.take()
        seen = load(
            server.port,
            server.files[scenario.job],
            connections=scenario.connections,
            seconds=seconds,
            rate=scenario.rate,
            count_statuses=scenario.job == "login",
        )
        after = Snapshot.take()
        silent_open = still_open(held)
    return {
        "rate": (seen.requests - seen.refused) / seen.seconds,
        "silent_open": silent_open,
        **asdict(seen),
        **_spent(bench, server, before, after, requests=max(1, seen.requests), seconds=seen.seconds),
    }


def _spent(
    bench: Bench, server: Server, before: Snapshot, after: Snapshot, *, requests: int, seconds: float
) -> Row:
    def since(process: int) -> float:
        return after.seconds(process) - before.seconds(process)

    processes = {
        "server": server.process,
        "database": bench.parts.database_process,
        "redis": bench.parts.redis_process,
    }
    own = since(getpid())  # with everything that was started from here
    others = (after.machine_seconds - before.machine_seconds - own) / (seconds * (cpu_count() or 1))
    row = {f"{name}_us": since(process) / requests * 1e6 for name, process in processes.items()}
    return row | {"others": max(0.0, others)}


def settle(bench: Bench) -> None:
    """Wait until no server works any more.

    What a load generator leaves unanswered goes on without it: a second load would share the server
    with the first one's sign-ins.

    :raises Refusal: one of them does not come to rest.
    """
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        before = Snapshot.take()
        time.sleep(LOOK_SECONDS)
        after = Snapshot.take()
        busy = {
            server.name: (after.seconds(server.process) - before.seconds(server.process)) / LOOK_SECONDS
            for server in bench.servers
        }
        if all(share <= QUIET for share in busy.values()):
            return
        if time.monotonic() > deadline:
            raise Refusal(f"Without any load these shares of a core are busy: {busy}")


# --- Before anything is measured ---------------------------------------------------------


def check(bench: Bench) -> None:
    """See that all servers do the same job, and count.

    :raises Refusal: an answer is wrong, or a request was not counted in Redis.
    """
    for job in ("V", "R"):
        reference = [_essence(bench.ours.name, job, bench.ours.ask(job, number)) for number in range(ASKED)]
        for server in bench.servers:
            _check_counting(server, job)
            for number, expected in enumerate(reference):
                found = _essence(server.name, job, server.ask(job, number))
                if found != expected or found[0] != 200:
                    raise Refusal(
                        f"{server.name}, job {job}, request {number}: it answers {found},"
                        f" where {bench.ours.name} answers {expected}."
                    )


def _essence(name: str, job: str, answer: tuple[int, Any]) -> tuple[Any, ...]:
    """What every server must say in its own words."""
    status, body = answer
    if status != 200:
        return status, body
    data = body["data"] if name == OURS else body
    if job == "R":
        return status, data["email"]
    license_ = data["license"] if name == OURS else data["licence"]
    code = {"valid": "ok"}.get(data["code"].lower(), data["code"].lower())
    features = license_["entitlements"] if name == OURS else license_["features"]
    tier = license_["tier"] if name == OURS else license_["plan"]
    return status, data["valid"], code, tier, license_["max_machines"], sorted(features)


def _check_counting(server: Server, job: str) -> None:
    """A caller who has not called before must leave a key in the server's Redis database."""
    request = server.system.requests[job][-1].replace(b"203.0.113.9", NEW_ADDRESS)
    with redis.Redis.from_url(server.system.redis_url) as client:
        before = set(client.scan_iter())
        exchange(server.port, request)
        if set(client.scan_iter()) <= before:
            raise Refusal(f"{server.name}, job {job}: the request was not counted in Redis.")


def warm_up(bench: Bench, jobs: set[str]) -> None:
    """Load every server a little, looking at each answer.

    :raises Refusal: an answer was not 2xx.
    """
    for server in bench.servers:
        for job in sorted(jobs & set(server.files)):
            say(f"Warming up {server.name}, {job} …")
            seen = load(
                server.port,
                server.files[job],
                connections=8 if job == "login" else 32,
                seconds=WARM_UP_SECONDS,
                count_statuses=True,
            )
            if seen.accepted != seen.requests or seen.broken or not seen.requests:
                raise Refusal(f"{server.name}, job {job}: not every answer was 2xx: {seen}")
