"""The page says what is so, and its examples work as they are printed."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.parts import node_program
from devforge_api.notifications.service import event_streams, hub, sockets, streams, watch
from devforge_api.notifications.service.streams import Ending
from tests.architecture.test_documentation import error_classes
from tests.realtime.conftest import within
from tests.serving import served

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "realtime.md").read_text()
FOLLOW = """
import { follow } from "%s";
let count = 0;
for await (const message of follow(process.env.BASE, async () => process.env.TOKEN)) {
  if (message.type !== "presence") console.log(JSON.stringify(message));
  if (message.type === "note" && ++count === 3) process.exit(0);
}
"""


@pytest.fixture
def place(make_api, server):
    """The API at an address of its own, which sends clients to the running process."""
    with served(make_api, DEVFORGE_REALTIME_URL=server.url) as (api, url):
        yield api, f"{url}/api/v1"


def test_the_calls_of_the_page_work_as_printed(place, tmp_path):
    api, address = place
    ada = api.person()
    block = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0]
    environ = {**os.environ, "API": address, "TOKEN": ada.access_token, "SECONDS_LONG": "3"}
    done = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"retry: \d+\n\nid: 0\nevent: ready\ndata: \{", done.stdout)


def test_the_example_for_node_comes_back_by_itself_and_misses_nothing(api, start, environ, tmp_path, note):
    server = start()
    ada = api.person()
    note(ada, 1)
    program = tmp_path / "follow.mjs"
    program.write_text(FOLLOW % (DOCS / "examples" / "realtime-node.mjs"))
    settings = {"BASE": server.url, "TOKEN": ada.access_token, "PATH": os.environ["PATH"]}
    node = subprocess.Popen([node_program(), program], env=settings, stdout=subprocess.PIPE, text=True)
    try:
        first = json.loads(node.stdout.readline())
        assert (first["type"], first["id"]) == ("ready", 1)
        note(ada, 2)
        second = json.loads(node.stdout.readline())
        assert (second["type"], second["id"], second["data"]) == ("note", 2, {"number": 2})
        (worker,) = server.workers()
        os.kill(worker, 9)  # the stream breaks off in the middle; another worker comes up
        note(ada, 3)
        assert within(40, lambda: server.workers() not in ([], [worker]) and server.is_answering())
        note(ada, 4)
        output, _ = node.communicate(timeout=60)
        told = [json.loads(line) for line in output.splitlines()]
        assert [one["data"]["number"] for one in told if one["type"] == "note"] == [3, 4]
    finally:
        node.kill()
        node.communicate()


def codes_of(heading):
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| (.+?) \|", table, re.MULTILINE)


def test_close_codes_are_those_of_the_code():
    endings = [one for one in vars(streams).values() if isinstance(one, Ending) and one is not streams.LEFT]
    written = {int(code) for code in codes_of("close code") if code.isdigit()}
    assert written == {one.close for one in endings} | {1009, 1013}


def test_errors_on_the_page_are_the_code_s():
    sources = [Path(module.__file__).read_text() for module in (streams, sockets, event_streams)]
    sources.append((Path(streams.__file__).parent / "messages.py").read_text())
    sent = set(re.findall(r'failure\("([A-Z_]+)"', "".join(sources)))
    sent |= {one.code for one in vars(streams).values() if isinstance(one, Ending) and one.code}
    sent |= set(re.findall(r'^    return failure\("([A-Z_]+)"', "".join(sources), re.MULTILINE))
    written = {code for cell in codes_of("`error` | what to do") for code in re.findall(r"`([A-Z_]+)`", cell)}
    assert written == sent
    refusals = set(re.findall(r"4\d\d\s`([A-Z_]+)`", PAGE))
    assert refusals
    assert refusals <= {error.code for error in error_classes()}


def test_numbers_on_the_page_are_the_code_s():
    assert f"{hub.MOST_OF_A_USER} streams of one user" in PAGE
    assert f"at most {sockets.LARGEST // 1024} KB, {sockets.HEARD} in ten seconds" in PAGE
    assert sockets.WINDOW_SECONDS == watch.CHECK_SECONDS == 10
    assert f"Every {event_streams.BEAT_SECONDS:.0f} seconds of silence" in PAGE
    assert streams.LIFETIME == 3600
