"""Whether validating costs the same however many licences there are."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import load
from benchmarks.measure import WARM_UP_SECONDS, Bench, Row, measure, settle
from benchmarks.parts import say
from benchmarks.scenarios import GROWTH
from benchmarks.systems import running


def rounds(bench: Bench, folder: Path, *, count: int, seconds: int) -> list[Row]:
    """Measure the same load on a server for each number of licences in turn, a number of times."""
    rows = []
    with ExitStack() as stack:
        servers = {}
        for licenses, scenario in GROWTH.items():
            within = folder / scenario.name
            within.mkdir(exist_ok=True)
            system = stack.enter_context(bench.parts.filled(within, licenses))
            servers[licenses] = stack.enter_context(running(system, within))
        alone = Bench(list(servers.values()), bench.parts)
        for server in alone.servers:
            load(server.port, server.files["V"], connections=32, seconds=WARM_UP_SECONDS)
        for round_ in range(count):
            say(f"V by the number of licences, round {round_ + 1} of {count} …")
            for licenses in sorted(servers, reverse=bool(round_ % 2)):
                settle(alone)
                scenario = GROWTH[licenses]
                rows.append(measure(alone, servers[licenses], scenario, seconds=seconds, round_=round_))
    return rows
