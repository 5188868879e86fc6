"""localstripe, an independent Stripe of former times, in a process and an environment of its own."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.processes import free_port

FOLDER = Path(__file__).parent
KEY = "sk_test_of_localstripe"


@pytest.fixture(scope="session")
def its_python(tmp_path_factory) -> Path:
    """The Python of its environment, with exactly the locked set; made once for all test processes."""
    shared = tmp_path_factory.getbasetemp().parent / "localstripe"
    shared.mkdir(exist_ok=True)
    python = shared / "venv" / "bin" / "python"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "installed").exists():
            _run(sys.executable, "-m", "venv", "--clear", str(shared / "venv"))
            locked = str(FOLDER / "requirements.txt")
            install = ("install", "--quiet", "--no-input", "--require-hashes", "-r", locked)
            _run(str(python), "-m", "pip", *install)
            (shared / "installed").touch()
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class LocalStripe:
    """The running server, and calls to it beside those of the adapter."""

    def __init__(self, address: str) -> None:
        self.address = address

    def post(self, path: str, **params: Any) -> dict[str, Any]:
        """Call it with JSON, which it takes as well as a form."""
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = requests.post(self.address + path, json=params, headers=headers, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else {}


@pytest.fixture
def localstripe(its_python, tmp_path) -> Iterator[LocalStripe]:
    """A server that knows nothing yet."""
    port = free_port()
    log = (tmp_path / "log").open("wb")
    command = [str(its_python), "-P", str(FOLDER / "confined.py"), str(tmp_path), str(port)]
    with (
        log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            found = LocalStripe(f"http://127.0.0.1:{port}")
            _wait(found, process, tmp_path / "log")
            yield found
        finally:
            process.kill()


def _wait(server: LocalStripe, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(server.address, timeout=5)
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"localstripe did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
