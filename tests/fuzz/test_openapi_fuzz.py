"""Schemathesis over the whole OpenAPI document, on both columns.

No 5xx, no undocumented status, no answer that violates its schema, nothing invalid accepted.
"""

import re
import subprocess
import sys
import tempfile
import threading

import pytest

pytestmark = [pytest.mark.extended, pytest.mark.timeout(900)]

# What ends the caller's own session; fuzzed last, in a throw-away user's name.
SELF_HARM = r"auth/logout|auth/password|auth/sessions/|users/me$|users/\{"
EXAMPLES = 60


def fuzz(address: str, token: str | None, *which: str, examples: int = EXAMPLES) -> None:
    authorization = ("-H", f"Authorization: Bearer {token}") if token else ()
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/openapi.json",
        "--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-color",
        # A filter that names nobody, a taken code: valid by the schema, and rightly refused.
        "--exclude-checks", "positive_data_acceptance",
        "--max-examples", str(examples), *authorization, *which,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # where it keeps its notes
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None, done.stdout[-3_000:]
    assert int(tested[1]) > 0


@pytest.fixture(autouse=True)
def worker(api):
    """Events are delivered meanwhile: else /ready soon says, rightly, that nobody does it."""
    stop = threading.Event()

    def deliver():
        while not stop.wait(0.5):
            api.deliver()

    thread = threading.Thread(target=deliver, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_an_admin_cannot_make_the_api_break_its_contract(api, address):
    # Proven just now: else what asks for that is refused before anything that was sent is looked at.
    admin = api.reauthenticated(api.admin())
    fuzz(address, admin.access_token, "--exclude-path-regex", SELF_HARM)


def test_nobody_can_make_the_api_break_its_contract(api, address):
    fuzz(address, None, examples=15)


def test_ending_ones_own_session_keeps_the_contract(api, address):
    person = api.reauthenticated(api.person())
    fuzz(address, person.access_token, "--include-path-regex", SELF_HARM, examples=25)
