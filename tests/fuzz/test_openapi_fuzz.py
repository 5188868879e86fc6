"""Schemathesis over the whole OpenAPI document, on both columns.

No 5xx, no undocumented status, no answer that violates its schema, nothing invalid accepted.
"""

import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

pytestmark = [pytest.mark.extended, pytest.mark.timeout(900)]

# What ends the caller's own session; fuzzed last, in a throw-away user's name.
SELF_HARM = r"auth/logout|auth/password|auth/sessions/|users/me$|users/\{"
EXAMPLES = 60
# A form with too much in it is refused before it is known to be invalid: 413 is a refusal as well.
REFUSALS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
"""


def fuzz(
    address: str,
    token: str | None,
    *which: str,
    examples: int = EXAMPLES,
    parameters: dict[str, str] | None = None,
) -> None:
    """:param parameters: what stands in the paths, instead of ids that nothing has."""
    authorization = ("-H", f"Authorization: Bearer {token}") if token else ()
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/openapi.json",
        "--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-color",
        # A filter that names nobody, a taken code: valid by the schema, and rightly refused.
        "--exclude-checks", "positive_data_acceptance",
        "--max-examples", str(examples), *authorization, *which,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # where it keeps its notes
        given = "\n".join(f'"path.{name}" = "{value}"' for name, value in (parameters or {}).items())
        (Path(folder) / "schemathesis.toml").write_text(f"{REFUSALS}\n[parameters]\n{given}\n")
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


def test_what_is_done_with_a_licence_that_is_there_keeps_the_contract(api, address):
    admin, guest = api.reauthenticated(api.admin()), api.person()
    terms = {"duration_days": 30, "check_in_days": 7, "max_machines": 5, "require_heartbeat": True}
    license_ = api.license(owner=admin, policy=terms)
    machine = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"}).json["data"]["id"]
    api.post(f"/licenses/{license_.id}/users", {"email": guest.email}, by=admin)
    ids = {"license_id": str(license_.id), "machine_id": machine, "user_id": str(guest.id)}
    # What ends it comes last.
    ending = ("revoke", "suspend", "transfer")
    paths = r"licenses/\{license_id\}"
    fuzz(
        address, admin.access_token, "--include-path-regex", paths,
        "--exclude-path-regex", "|".join(ending), "--exclude-method", "DELETE",
        examples=25, parameters=ids,
    )  # fmt: skip
    assert api.get(f"/licenses/{license_.id}", by=admin).status_code == 200
    fuzz(address, admin.access_token, "--include-path-regex", paths, examples=10, parameters=ids)
