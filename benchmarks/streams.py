"""What open streams do to other requests: a load without any, beside many, and while they are told things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.measure import Bench, Refusal, Row, measure, settle
from benchmarks.parts import say
from benchmarks.scenarios import (
    STREAMS,
    TOLD_A_SECOND,
    V_BESIDE_STREAMS,
    V_BESIDE_TOLD,
    V_NO_STREAMS,
    V_UNHEARD,
)
from benchmarks.systems import NOT_INHERITED, ROOT, START_SECONDS, free_port, stop

CALM_SECONDS = 2.0  # after a thousand sign-ins to streams, or their leave
PROXY = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def rounds(bench: Bench, folder: Path, *, count: int, seconds: int) -> list[Row]:
    """Measure each of the four in turn, a number of times; the order is reversed in between."""
    rows: list[Row] = []
    with _realtime(bench, folder) as (port, process):
        steps: list[Callable[[int], Row]] = [
            lambda round_: measure(bench, bench.ours, V_NO_STREAMS, seconds=seconds, round_=round_),
            lambda round_: _beside(bench, folder, port, process, seconds, round_, told=False),
            lambda round_: _unheard(bench, seconds, round_),
            lambda round_: _beside(bench, folder, port, process, seconds, round_, told=True),
        ]
        for round_ in range(count):
            say(f"Streams, round {round_ + 1} of {count} …")
            for step in steps if round_ % 2 == 0 else steps[::-1]:
                settle(bench)
                rows.append(step(round_))
    return rows


def _unheard(bench: Bench, seconds: int, round_: int) -> Row:
    """The load while users are told something who have no stream open."""
    with _telling(bench):
        time.sleep(CALM_SECONDS)
        return measure(bench, bench.ours, V_UNHEARD, seconds=seconds, round_=round_)


def _beside(
    bench: Bench, folder: Path, port: int, process: int, seconds: int, round_: int, *, told: bool
) -> Row:
    """The load while streams are open, and how many messages reached them meanwhile."""
    scenario = V_BESIDE_TOLD if told else V_BESIDE_STREAMS
    with _windows(bench, folder, port) as windows:
        with _telling(bench) if told else _nobody():
            time.sleep(CALM_SECONDS)
            row = measure(bench, bench.ours, scenario, seconds=seconds, round_=round_)
        row["streams_open"] = _figure(bench, port, "devforge_realtime_streams")
        row["realtime_mib"] = _memory(process)
        windows.send_signal(signal.SIGINT)
        row["messages"] = json.loads(windows.communicate(timeout=30)[0].splitlines()[-1])["messages"]
    deadline = time.monotonic() + START_SECONDS
    while _figure(bench, port, "devforge_realtime_streams"):
        if time.monotonic() > deadline:
            raise Refusal("The streams do not end.")
        time.sleep(0.1)
    if row["streams_open"] < STREAMS:
        raise Refusal(f"Only {row['streams_open']} of {STREAMS} streams were open in the end.")
    return row


@contextmanager
def _realtime(bench: Bench, folder: Path) -> Iterator[tuple[int, int]]:
    """`flask realtime` beside our server, on the same data: its port, and its process."""
    port = free_port()
    log = folder / "realtime.log"
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "realtime", "--host", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            env=_environment(bench),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Refusal(f"`flask realtime` did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        stop(process)


@contextmanager
def _windows(bench: Bench, folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Hold streams open, in a process of their own."""
    requests = folder / "streams.json"
    signed_in = [request.decode() for request in bench.ours.system.requests["R"][:STREAMS]]
    sent = [request.replace("/api/v1/auth/me", "/api/v1/realtime/stream", 1) for request in signed_in]
    requests.write_text(json.dumps(sent))
    command = [sys.executable, "-m", "benchmarks.windows", str(port), str(requests)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as windows:
        try:
            assert windows.stdout is not None  # a pipe, as was asked for
            if not windows.stdout.readline().startswith("open"):
                raise Refusal("The streams could not be opened.")
            yield windows
        finally:
            if windows.poll() is None:
                windows.kill()


@contextmanager
def _telling(bench: Bench) -> Iterator[None]:
    """Tell the users of the streams something, so many times a second."""
    command = [sys.executable, "-m", "benchmarks.teller", str(TOLD_A_SECOND), str(STREAMS)]
    teller = subprocess.Popen(command, cwd=ROOT, env=_environment(bench), stdout=subprocess.PIPE, text=True)
    try:
        assert teller.stdout is not None  # a pipe, as was asked for
        if not teller.stdout.readline().startswith("telling"):
            raise Refusal("Nobody could be told anything.")
        yield
        if teller.poll() is not None:
            raise Refusal("Whoever tells the streams has failed.")
    finally:
        teller.kill()
        teller.communicate()


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def _environment(bench: Bench) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    return {**inherited, **bench.ours.system.environ}


def _ask(port: int, path: str, **headers: str) -> str:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={**PROXY, **headers})
        return connection.getresponse().read().decode()


def _answers(port: int) -> bool:
    try:
        return "ok" in _ask(port, "/health")
    except OSError:
        return False


def _figure(bench: Bench, port: int, name: str) -> int:
    token = {"Authorization": f"Bearer {bench.ours.system.environ['DEVFORGE_METRICS_TOKEN']}"}
    lines = _ask(port, "/metrics", **token).splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")))


def _memory(main: int) -> int:
    """What the worker of a main process holds, in MiB."""
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    status = Path(f"/proc/{children[0]}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) // 1024
