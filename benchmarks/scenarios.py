"""What is measured, and what is due: plain data, read also by the plot's own environment."""

from __future__ import annotations

from dataclasses import dataclass

OURS, FASTAPI, FASTIFY, EXPRESS = "Dev Forge API", "FastAPI", "Fastify", "Express"
SYSTEMS = (OURS, FASTAPI, FASTIFY, EXPRESS)
SILENT = 64
LOGIN_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load.

    :param job: V, R or login: whose requests are sent.
    :param rate: requests offered a second; None: as many as are answered.
    :param silent: further connections on which nothing is sent.
    """

    name: str
    title: str
    job: str
    connections: int
    rate: int | None = None
    silent: int = 0


SCENARIOS = (
    Scenario("V32", "V: validate a licence key, 32 connections, saturated", "V", 32),
    Scenario("R32", "R: who is signed in, 32 connections, saturated", "R", 32),
    Scenario("V64", "V, 64 connections, saturated", "V", 64),
    Scenario("V200", "V, 200 connections, saturated", "V", 200),
    Scenario("V1000", "V, 1,000 requests a second offered", "V", 64, rate=1_000),
    Scenario(
        "V1000-silent", f"The same beside {SILENT} silent connections", "V", 64, rate=1_000, silent=SILENT
    ),
    Scenario("R1000", "R, 1,000 requests a second offered", "R", 64, rate=1_000),
)
# Of Dev Forge API alone. The first is no server at all.
ARGON2 = Scenario("argon2", "argon2 alone, one process for each web process", "argon2", 0)
LOGIN = Scenario("login", f"Sign-ins, {LOGIN_CONNECTIONS} connections, saturated", "login", LOGIN_CONNECTIONS)
V_ALONE = Scenario("V200ps", "V, 200 requests a second offered", "V", 64, rate=200)
V_BESIDE_LOGIN = Scenario("V200ps-login", "The same beside these sign-ins", "V", 64, rate=200)
# Beside open streams, which another process serves.
STREAMS, TOLD_A_SECOND = 1_000, 20
V_NO_STREAMS = Scenario("V200ps-quiet", "V, 200 requests a second offered, no streams", "V", 64, rate=200)
V_BESIDE_STREAMS = Scenario("V200ps-streams", f"The same beside {STREAMS:,} open streams", "V", 64, rate=200)
# Whoever tells is another process, which takes its part of the machine whether anybody listens or not.
V_UNHEARD = Scenario(
    "V200ps-unheard", f"V, 200 a second, {TOLD_A_SECOND} messages a second, no streams", "V", 64, rate=200
)
V_BESIDE_TOLD = Scenario(
    "V200ps-told", f"The same messages, told to {STREAMS:,} open streams", "V", 64, rate=200
)
BESIDE = (V_NO_STREAMS, V_BESIDE_STREAMS, V_UNHEARD, V_BESIDE_TOLD)
# By the number of licences.
GROWTH = {
    count: Scenario(f"V-{count}", f"{count:,} licences, 200 requests a second offered", "V", 64, rate=200)
    for count in (1_000, 100_000, 1_000_000)
}


@dataclass(frozen=True, slots=True)
class Due:
    """A target: a figure of ours, by itself or as a ratio to another row's.

    :param figure: ``rate`` (requests a second), ``p50``, ``p95`` or ``p99`` (milliseconds), or a CPU time.
    :param beside: the system or, of ours, the scenario that it is divided by; None: nothing.
    :param bound: at least this for rates, at most this for times.
    """

    text: str
    scenario: str
    figure: str
    bound: float
    beside_system: str | None = None
    beside_scenario: str | None = None

    @property
    def is_least(self) -> bool:
        """Whether more is better."""
        return self.figure == "rate"


DUES = (
    Due("V, requests a second: FastAPI's", "V32", "rate", 1.0, FASTAPI),
    Due("V, requests a second: Express's", "V32", "rate", 1.2, EXPRESS),
    Due("R, requests a second: FastAPI's", "R32", "rate", 1.0, FASTAPI),
    Due("R, requests a second: Express's", "R32", "rate", 1.2, EXPRESS),
    Due("V, p99 with 64 connections, in ms", "V64", "p99", 25),
    Due("V, p99 with 200 connections, in ms", "V200", "p99", 65),
    Due("V, p99 with 200 connections: FastAPI's", "V200", "p99", 1.0, FASTAPI),
    Due("V, p99 at 1,000 a second: FastAPI's", "V1000", "p99", 1.0, FASTAPI),
    Due(f"V, p99 beside {SILENT} silent connections: without", "V1000-silent", "p99", 1.5, None, "V1000"),
    Due("V, p50 with 1,000,000 licences: with 1,000", "V-1000000", "p50", 1.25, None, "V-1000"),
    Due("V, CPU with 1,000,000 licences: with 1,000", "V-1000000", "server_us", 1.25, None, "V-1000"),
    Due(
        "V, PostgreSQL's CPU with 1,000,000: with 1,000",
        "V-1000000",
        "database_us",
        1.25,
        None,
        "V-1000",
    ),
    Due("Sign-ins a second: argon2 alone", "login", "rate", 0.7, None, "argon2"),
    Due("V, p99 beside sign-ins: without", "V200ps-login", "p99", 8, None, "V200ps"),
    Due(f"V, p95 beside {STREAMS:,} streams: without", "V200ps-streams", "p95", 1.2, None, "V200ps-quiet"),
    Due("V, p95 beside streams that are told: without", "V200ps-told", "p95", 1.2, None, "V200ps-unheard"),
)
