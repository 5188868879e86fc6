"""Results as Markdown: tables, ratios beside what is due, and how to run them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.scenarios import (
    ARGON2,
    BESIDE,
    GROWTH,
    LOGIN,
    OURS,
    SCENARIOS,
    SILENT,
    STREAMS,
    SYSTEMS,
    V_ALONE,
    V_BESIDE_LOGIN,
    V_BESIDE_TOLD,
    Scenario,
)
from benchmarks.summary import Finding, Summary, findings

Results = dict[str, Any]
COLUMNS = (
    "server", "requests/s", "least to most", "p50 ms", "p99 ms", "longest ms", "CPU µs", "PostgreSQL µs",
    "Redis µs", "others", "errors", "Dev Forge ÷ it",
)  # fmt: skip
HOW = """\
```
python3 dev.py test --version                     # once: makes .venv with the test tools
.venv/bin/python -m benchmarks.compare            # everything; writes this page and its plot
.venv/bin/python -m benchmarks.compare --quick    # some minutes; prints only
.venv/bin/python -m benchmarks.compare --jobs V,R --rounds 6 --seconds 8 --work-dir /tmp/bench
```

Linux, and `wrk` on PATH (Debian, Ubuntu: `apt install wrk`); everything else is installed without
privileges, in a temporary folder.
"""
WHAT = f"""\
All servers and the load generator share one machine, so only ratios within one run mean anything. Each
figure is the median of interleaved rounds, the order reversed every other round. Every server has two
workers, PostgreSQL and limits in Redis: all requests are counted and none is refused. Dev Forge API
runs as `flask serve` starts it, with production's settings behind one proxy: request log (to a file),
metrics, request ids, security headers. The peers (`benchmarks/peers`) keep no log, and verify tokens by
HMAC where Dev Forge API verifies Ed25519. PostgreSQL does not wait for the disk, as in the tests; that
matters to sign-ins only, which write.

*V* is `POST /api/v1/licenses/validate`; *R* is `GET /api/v1/auth/me` with the check for revocation. CPU
times are those of one request: in the server, in PostgreSQL, in Redis. *Others* is the share of the
machine that was busy with something else; above a tenth, targets are unclear, for who has more threads
gets more of a busy machine: repeat the run. *Errors* are answers of 400 and above, which do not count as
requests a second, and requests without an answer. *Dev Forge ÷ it* divides requests a second where the
load saturates, and p99 where a rate is offered: by
{SCENARIOS[3].connections} connections, at random moments that do not wait for earlier answers.
"""


def render(results: Results) -> str:
    """The whole page."""
    summary = Summary(results["rows"])
    parts = [
        "# Benchmarks: Dev Forge API beside other servers",
        _setting(results),
        "![requests a second, and p99](results.svg)",
        WHAT,
        "## What is due",
        dues_table(findings(summary)),
        "## Figures",
        *scenario_sections(summary),
        "## How to run it",
        HOW,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _setting(results: Results) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    rounds = f"{results['rounds']} rounds of {results['seconds']} s"
    return f"{results['date']}; {results['machine']}; {rounds}. {versions}."


def dues_table(found: Iterable[Finding]) -> str:
    """Each target, what was found, and whether it is met."""
    rows = []
    for finding in found:
        bound = f"{'≥' if finding.due.is_least else '≤'} {finding.due.bound:g}"
        is_ratio = finding.due.beside_system or finding.due.beside_scenario
        rows.append(
            [
                finding.due.text.replace(": ", " ÷ "),
                f"{finding.found:.2f}" if is_ratio else f"{finding.found:.1f}",
                bound,
                finding.verdict,
            ]
        )
    return table(("target", "found", "due", "met"), rows)


def scenario_sections(summary: Summary) -> list[str]:
    """A heading and a table for each scenario that was measured."""
    sections = []
    for scenario in SCENARIOS:
        if summary.has(scenario.name):
            sections += [
                f"### {scenario.title}",
                _scenario_table(summary, scenario),
                _silent(summary, scenario),
            ]
    if any(summary.has(scenario.name) for scenario in GROWTH.values()):
        sections += ["### V by the number of licences", _own_table(summary, GROWTH.values())]
    if summary.has(LOGIN.name):
        sections += [
            "### Sign-ins",
            _own_table(summary, (LOGIN, V_ALONE, V_BESIDE_LOGIN)),
            _login_words(summary),
        ]
    if any(summary.has(scenario.name) for scenario in BESIDE):
        sections += ["### V beside open streams", _own_table(summary, BESIDE), _streams_words(summary)]
    return [section for section in sections if section]


def _scenario_table(summary: Summary, scenario: Scenario) -> str:
    return table(
        COLUMNS,
        [_line(summary, scenario, system) for system in SYSTEMS if summary.has(scenario.name, system)],
    )


def _line(summary: Summary, scenario: Scenario, system: str, title: str | None = None) -> list[str]:
    def middle(name: str, of: str = system) -> float:
        return summary.median(scenario.name, of, name)

    rates = summary.figures(scenario.name, system, "rate")
    figure = "rate" if scenario.rate is None else "p99"
    ratio = middle(figure, OURS) / middle(figure) if middle(figure) else 0.0
    return [
        title or system,
        f"{middle('rate'):,.0f}",
        f"{min(rates):,.0f} to {max(rates):,.0f}",
        f"{middle('p50'):.1f}",
        f"{middle('p99'):.1f}",
        f"{middle('longest'):.0f}",
        f"{middle('server_us'):.0f}",
        f"{middle('database_us'):.0f}",
        f"{middle('redis_us'):.0f}",
        f"{middle('others'):.0%}",
        str(summary.errors(scenario.name, system)),
        "" if system == OURS else f"{ratio:.2f}",
    ]


def _silent(summary: Summary, scenario: Scenario) -> str:
    """Who closed silent connections, so that they were not all there to the end."""
    if not scenario.silent:
        return ""
    held = {
        system: int(min(summary.figures(scenario.name, system, "silent_open")))
        for system in SYSTEMS
        if summary.has(scenario.name, system)
    }
    closed = [f"{system} {count}" for system, count in held.items() if count < SILENT]
    if not closed:
        return f"All {SILENT} were open to the end."
    return f"Of the {SILENT} were still open in the end, at the least: {', '.join(closed)}."


def _own_table(summary: Summary, scenarios: Iterable[Scenario]) -> str:
    """Loads on Dev Forge API alone."""
    lines = [
        _line(summary, scenario, OURS, scenario.title) for scenario in scenarios if summary.has(scenario.name)
    ]
    return table(("load", *COLUMNS[1:-1]), [line[:-1] for line in lines])


def _login_words(summary: Summary) -> str:
    bare = summary.median(ARGON2.name, ARGON2.name, "rate")
    sign_ins = summary.median(LOGIN.name, OURS, "rate")
    answered = {
        name: summary.total(LOGIN.name, OURS, name) for name in ("accepted", "unavailable", "other", "broken")
    }
    return (
        f"argon2 alone, with the parameters of Dev Forge API: {bare:.1f} a second. Sign-ins:"
        f" {sign_ins:.1f} a second. Over all rounds {answered['accepted']:,} were answered 200,"
        f" {answered['unavailable']:,} with 503 (the queue is bounded), {answered['other']:,} otherwise,"
        f" {answered['broken']:,} not at all."
    )


def _streams_words(summary: Summary) -> str:
    if not summary.has(V_BESIDE_TOLD.name):
        return ""
    p95 = [f"{summary.median(one.name, OURS, 'p95'):.1f}" for one in BESIDE if summary.has(one.name)]
    memory = max(summary.figures(V_BESIDE_TOLD.name, OURS, "realtime_mib"))
    messages = summary.total(V_BESIDE_TOLD.name, OURS, "messages")
    return (
        f"p95: {', '.join(p95)} ms. The realtime process, its CPU time not counted above, held"
        f" {memory:.0f} MiB with {STREAMS:,} streams, and sent {messages:,} messages in all rounds."
    )


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    names = list(header)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
