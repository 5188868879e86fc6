"""The README's tour, run exactly as it is printed, against a fresh server with the demo."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def environ(tmp_path):
    """Nothing of ours but the data folder, as a newcomer has it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    return {**inherited, "DEVFORGE_DATA_DIR": str(tmp_path)}


@pytest.fixture
def address(environ, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "start", "--port", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    assert server.poll() is None, (tmp_path / "server.log").read_text()
    yield url
    server.terminate()
    server.wait()


def printed_tour() -> str:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return str(block)


def answers(text: str) -> list[dict]:
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_the_tour_of_the_readme_works_as_printed(environ, address):
    shell = {**environ, "BASE": f"{address}/api/v1"}
    command = ["bash", "-eu", "-c", printed_tour()]
    done = subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    registered, me, machine, verdict = answers(done.stdout)
    assert registered["data"]["user"]["email"] == "ada@example.com"
    assert me["data"] == {**registered["data"]["user"], "last_login": me["data"]["last_login"]}
    assert machine["data"]["fingerprint"] == "adas-laptop"
    assert (verdict["data"]["valid"], verdict["data"]["code"]) == (True, "VALID")
    assert verdict["data"]["license"]["tier"] == "pro"
