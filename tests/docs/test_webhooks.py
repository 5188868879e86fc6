"""docs/webhooks.md: its calls run as they are printed, and its tables say what the code does."""

import json
import os
import re
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook
from werkzeug.serving import make_server

from devforge_api.core.clock import utc_now
from devforge_api.core.worker import WorkerThreads
from devforge_api.webhooks.cli import webhooks_cli
from devforge_api.webhooks.service import cleaning, endpoints, replaying, schedule, sending, telling
from tests.architecture.test_documentation import error_classes
from tests.docs.offline import EXAMPLES, NODE
from tests.processes import free_port

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
RECEIVERS = {
    "python": f"{sys.executable} {EXAMPLES / 'webhook_receiver.py'}",
    "node": f"{NODE} {EXAMPLES / 'webhook_receiver.ts'}",
}
UNITS = {"seconds": "seconds", "minutes": "minutes", "hours": "hours"}


def table(heading):
    """The rows of the table that begins so."""
    rows = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture
def served(make_api):
    """The demo's way of working: served, with its workers, and allowed to call this machine."""
    api = make_api(DEVFORGE_LOCAL_DESTINATIONS="loopback", OUTBOX_LEASE=timedelta(seconds=60))
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    workers = WorkerThreads(api.app)
    workers.start()
    yield api, f"http://127.0.0.1:{server.port}/api/v1"
    workers.stop()
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("language", RECEIVERS)
def test_the_calls_of_the_page_work_as_printed_with_both_receivers(served, tmp_path, language):
    api, base = served
    api.person(email="ada@example.com")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    environ = {**os.environ, "BASE": base, "PORT": str(free_port()), "RECEIVER": RECEIVERS[language]}
    done = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["data"]["status"] == "delivered", done.stdout + done.stderr
    received = (tmp_path / "received.txt").read_text().splitlines()
    assert [line.split()[0] for line in received] == ["webhook.test"]


@pytest.mark.parametrize("language", RECEIVERS)
def test_the_receivers_take_only_what_is_signed_and_new_and_each_message_once(tmp_path, language):
    secret, other = (endpoints.signing.new_secret() for _ in range(2))
    port = free_port()
    environ = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(RECEIVERS[language].split(), env=environ, stdout=output, stderr=output)
    over = threading.Event()

    def send(id_, *, signers=(secret,), at=None, body=b'{"type":"a.b","timestamp":"","data":{"n":1}}'):
        at = at or utc_now()
        signatures = " ".join(Webhook(one).sign(id_, at, body.decode()) for one in signers)
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures,
        }
        return requests.post(f"http://127.0.0.1:{port}/", data=body, headers=headers, timeout=20).status_code

    def listening():
        try:
            return requests.get(f"http://127.0.0.1:{port}/", timeout=20) is not None
        except requests.ConnectionError:
            return over.wait(0.05)

    try:
        assert any(listening() for _ in range(600))
        assert send("1") == send("1") == send("2", signers=(other, secret)) == 204
        assert send("3", signers=(other,)) == 401
        assert send("4", at=utc_now() - timedelta(minutes=6)) == 401
    finally:
        running.terminate()
        running.wait(10)
    assert log.read_text().count("a.b") == 2


def test_the_retries_are_the_code_s():
    first, *others = table("attempt | after the one before")
    assert first == ["1", "at once"]
    told = []
    for number, wait in others:
        amount, unit = wait.split()
        told.append(timedelta(**{UNITS[unit]: int(amount)}))
        assert int(number) == len(told) + 1
    assert tuple(told) == schedule.DELAYS
    assert schedule.JITTER == 0.1


def test_every_error_of_an_attempt_is_told_of():
    written = {cells[0].strip("`") for cells in table("`error` | means")}
    source = Path(sending.__file__).read_text()
    assert written == set(re.findall(r'error = "([a-z_]+)"', source)) | {
        "gone", "redirected", "refused", "not_permitted",
    }  # fmt: skip
    assert all(f'"{word}"' in source for word in written)


def test_numbers_on_the_page_are_the_code_s(app):
    assert f"beyond {endpoints.MOST_ENDPOINTS} " in PAGE
    assert f"smaller than {telling.LARGEST_BODY:,} bytes" in PAGE
    assert f"takes {replaying.MOST_REPLAYED:,}," in PAGE
    assert (timedelta(seconds=1) / telling.PACE, replaying.MOST_TESTS) == (10, 10)
    assert (cleaning.KEPT.days, sending.FAILING_FOR.days) == (30, 5)
    assert timedelta(days=1) == schedule.LONGEST_WAIT
    assert (timedelta(minutes=1), timedelta(hours=1)) == (schedule.FIRST_REST, schedule.LONGEST_REST)
    assert app.config["OUTBOUND_SECONDS"] == 15


def test_codes_routes_and_commands_on_the_page_are_real_ones(app):
    codes = {error.code for error in error_classes()} | {"DESTINATION_REFUSED"}
    written = {code for code in re.findall(r"`([A-Z]+_[A-Z_]+)`", PROSE) if not code.startswith("DEVFORGE_")}
    assert len(written) >= 3
    assert written <= codes
    rules = {
        re.sub(r"<[^>]+>", "{id}", rule.rule).removeprefix("/api/v1") for rule in app.url_map.iter_rules()
    }
    routes = set(re.findall(r"(/webhooks(?:/[a-z{}-]+)*)", PROSE))
    assert len(routes) >= 6
    assert routes <= rules
    assert set(re.findall(r"flask webhooks ([a-z]+)", PROSE)) | {"enable"} == set(webhooks_cli.commands)
