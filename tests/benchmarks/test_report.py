"""Tables, ratios and targets follow from rows of figures; here from rows that were made up."""

import re
from itertools import pairwise

from benchmarks.report import render
from benchmarks.scenarios import BESIDE, DUES, GROWTH, SCENARIOS, SYSTEMS
from benchmarks.summary import Summary, findings

OURS = "Dev Forge API"


def row(scenario, system=OURS, **figures):
    quiet = dict.fromkeys(("refused", "broken", "accepted", "unavailable", "other", "longest", "others"), 0)
    rest = {
        "server_us": 300.0,
        "database_us": 100.0,
        "redis_us": 0,
        "silent_open": 64,
        "seconds": 2.0,
        "p50": 1.0,
        "p95": 5.0,
        "p99": 10.0,
        "realtime_mib": 150,
        "messages": 300,
    }
    return {"scenario": scenario, "system": system, "round": 0, "rate": 1000.0, **quiet, **rest, **figures}


def whole_run():
    """Two rounds of everything; nobody is faster than anybody."""
    rows = [row(scenario.name, system) for scenario in SCENARIOS for system in SYSTEMS for _ in range(2)]
    for _ in range(2):
        rows += [
            row("argon2", "argon2", rate=50.0),
            row("login", rate=40.0, accepted=80, refused=7, unavailable=7),
        ]
        rows += [row(scenario.name, rate=200.0) for scenario in GROWTH.values()]
        rows += [row(scenario.name, rate=200.0) for scenario in BESIDE]
        rows += [row("V200ps", rate=200.0), row("V200ps-login", rate=200.0, p99=70.0)]
    return rows


def page_of(rows):
    results = {"date": "2026-11-21", "machine": "Linux, 2 cores", "rounds": 2, "seconds": 2, "rows": rows}
    return render({**results, "versions": {"Python": "3.11.7"}})


def finding_of(rows, text):
    return next(finding for finding in findings(Summary(rows)) if finding.due.text == text)


def test_a_ratio_is_one_of_medians():
    text = "V, requests a second: FastAPI's"
    rows = [row("V32", rate=rate) for rate in (900, 3000, 1200)]
    rows += [row("V32", "FastAPI", rate=rate) for rate in (1000, 10, 5000)]
    assert finding_of(rows, text).found == 1.2
    assert finding_of(rows, text).verdict == "yes"


def test_a_time_is_met_from_below_and_a_rate_from_above():
    rows = [row("V200", p99=64.0), row("V200", "FastAPI", p99=63.0)]
    assert finding_of(rows, "V, p99 with 200 connections, in ms").verdict == "yes"
    assert finding_of(rows, "V, p99 with 200 connections: FastAPI's").verdict == "no"


def test_errors_make_a_good_figure_worthless():
    rows = [row("V32", rate=9000.0, refused=1), row("V32", "FastAPI")]
    finding = finding_of(rows, "V, requests a second: FastAPI's")
    assert (finding.found, finding.verdict) == (9.0, "no: errors: 1")


def test_an_offered_rate_must_be_kept_up_with():
    rows = [row("V1000", rate=500.0, p99=1.0), row("V1000", "FastAPI")]
    finding = finding_of(rows, "V, p99 at 1,000 a second: FastAPI's")
    assert finding.verdict == "no: only 500 a second of 1,000"


def test_a_busy_machine_leaves_a_target_unclear():
    rows = [row("V32", rate=9000.0), row("V32", "FastAPI", others=0.4)]
    text = "V, requests a second: FastAPI's"
    assert finding_of(rows, text).verdict == "unclear: others had 40% of the machine"
    rows[0]["broken"] = 1  # and an error is one on any machine
    assert finding_of(rows, text).verdict == "no: errors: 1"
    rows[0]["broken"], rows[1]["others"] = 0, 0.05
    assert finding_of(rows, text).verdict == "yes"


def test_refused_sign_ins_are_no_errors_but_lost_ones_are():
    rows = [row("argon2", "argon2", rate=50.0), row("login", rate=40.0, refused=7, unavailable=7)]
    assert finding_of(rows, "Sign-ins a second: argon2 alone").verdict == "yes"
    rows[1]["broken"] = 1
    assert finding_of(rows, "Sign-ins a second: argon2 alone").verdict == "no: errors: 1"


def test_a_whole_run_answers_every_target_and_shows_every_load():
    rows = whole_run()
    assert [finding.due for finding in findings(Summary(rows))] == list(DUES)
    page = page_of(rows)
    assert all(f"### {scenario.title}" in page for scenario in SCENARIOS)
    assert page.count("| Express | 1,000 |") == len(SCENARIOS)
    assert "| Sign-ins a second ÷ argon2 alone | 0.80 | ≥ 0.7 | yes |" in page
    assert "| 1,000,000 licences, 200 requests a second offered | 200 |" in page
    assert "| V, p50 with 1,000,000 licences ÷ with 1,000 | 1.00 | ≤ 1.25 | yes |" in page
    assert "160 were answered 200, 14 with 503" in page
    assert "| V, p95 beside 1,000 streams ÷ without | 1.00 | ≤ 1.2 | yes |" in page
    assert "held 150 MiB with 1,000 streams, and sent 600 messages" in page


def test_what_was_not_measured_is_left_out():
    rows = [row("R32"), row("R32", "FastAPI", rate=2000.0)]
    page = page_of(rows)
    assert re.findall(r"^### (.*)$", page, re.MULTILINE) == [SCENARIOS[1].title]
    assert len(findings(Summary(rows))) == 1


def test_every_table_has_a_cell_for_each_column():
    lines = page_of(whole_run()).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert line.count("|") == above.count("|"), line


def test_silent_connections_that_were_closed_are_told():
    rows = [row("V1000-silent"), row("V1000-silent", "Express", silent_open=3)]
    assert "still open in the end, at the least: Express 3." in page_of(rows)
