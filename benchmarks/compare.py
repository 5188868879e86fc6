"""Dev Forge API beside FastAPI, Fastify and Express, doing the same jobs on the same machine.

    python -m benchmarks.compare [--quick] [--jobs V,R,flat,login,streams] [--work-dir FOLDER]

Everything that it needs but ``wrk`` it makes for itself, unprivileged, in a temporary folder. Prints
tables with ratios; a whole run writes benchmarks/RESULTS.md and its plot.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from benchmarks import growth, load, login, parts, report, streams
from benchmarks.measure import Bench, Refusal, Row, check, measure, settle, warm_up
from benchmarks.parts import say
from benchmarks.scenarios import SCENARIOS
from benchmarks.summary import Summary, findings
from benchmarks.systems import ROOT, running

JOBS = ("V", "R", "flat", "login", "streams")
PAGE, PLOT, FIGURES = "RESULTS.md", "results.svg", "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 where nothing can be measured."""
    options = command_line().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        if sys.platform != "linux":
            raise Refusal("CPU time is read from /proc: run this on Linux.")
        if not load.is_installed():
            raise Refusal(load.INSTALLING)
        with _work_folder(options.work_dir) as folder:
            run(options, folder)
    except (Refusal, RuntimeError) as refusal:
        say(str(refusal))
        return 2
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    return 0


def _end(*_: object) -> NoReturn:
    sys.exit(143)  # so that every block ends, and its server with it


def command_line() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--jobs", type=_jobs, default=JOBS, help="which of V,R,flat,login,streams (default: all)"
    )
    parser.add_argument("--rounds", type=int, help="times that each load is measured (default: 4)")
    parser.add_argument("--seconds", type=int, help="length of one measurement (default: 5)")
    parser.add_argument("--quick", action="store_true", help="two rounds of two seconds")
    parser.add_argument(
        "--work-dir", type=Path, metavar="FOLDER", help="keep everything here, for the next run"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="write page and plot here (default: benchmarks, if all is run)",
    )
    return parser


def _jobs(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(JOBS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {','.join(JOBS)}")
    return names


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="devforge-benchmarks-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def run(options: argparse.Namespace, folder: Path) -> None:
    """Measure what was asked for, print it, and write it down."""
    rounds = options.rounds or (2 if options.quick else 4)
    seconds = options.seconds or (2 if options.quick else 5)
    with parts.prepared(folder) as made, ExitStack() as stack:
        servers = [stack.enter_context(running(system, folder)) for system in made.systems]
        bench = Bench(servers, made)
        check(bench)
        warm_up(bench, set(options.jobs) | ({"V"} if "streams" in options.jobs else set()))
        rows = interleaved(bench, set(options.jobs), rounds=rounds, seconds=seconds)
        if "flat" in options.jobs:
            rows += growth.rounds(bench, folder, count=rounds, seconds=seconds)
        if "login" in options.jobs:
            rows += login.rounds(bench, count=rounds, seconds=seconds)
        if "streams" in options.jobs:
            rows += streams.rounds(bench, folder, count=rounds, seconds=seconds)
    results = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "versions": made.versions,
        "rounds": rounds,
        "seconds": seconds,
        "rows": rows,
    }
    print(printed(results))
    whole = not options.quick and set(options.jobs) == set(JOBS)
    target = options.results or (ROOT / "benchmarks" if whole else folder)
    write(results, target, figures=folder / FIGURES, plotter=made.plotter)
    if target != folder or options.work_dir:
        say(f"Written to {target}: {PAGE}, {PLOT}.")


def interleaved(bench: Bench, jobs: set[str], *, rounds: int, seconds: int) -> list[Row]:
    """Every load on every server in turn, the order of the servers reversed every other round."""
    rows = []
    for round_ in range(rounds):
        for scenario in SCENARIOS:
            if scenario.job not in jobs:
                continue
            say(f"{scenario.title}, round {round_ + 1} of {rounds} …")
            order = bench.servers if round_ % 2 == 0 else bench.servers[::-1]
            for server in order:
                settle(bench)
                rows.append(measure(bench, server, scenario, seconds=seconds, round_=round_))
    return rows


def machine() -> str:
    """The machine, in general words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"Linux, {os.cpu_count()} cores, {memory:.0f} GB of memory"


def printed(results: report.Results) -> str:
    """What a person wants to see at once."""
    summary = Summary(results["rows"])
    return "\n\n".join([*report.scenario_sections(summary), report.dues_table(findings(summary))])


def write(results: report.Results, target: Path, *, figures: Path, plotter: Path) -> None:
    """Write the page and its plot, and the figures that both are made from."""
    figures.write_text(json.dumps(results))
    target.mkdir(parents=True, exist_ok=True)
    (target / PAGE).write_text(report.render(results), encoding="utf-8")
    command = [str(plotter), "-m", "benchmarks.plot", str(figures), str(target / PLOT)]
    parts.run(command, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
