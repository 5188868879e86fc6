"""The server's processes: how they start, end, are killed, and work side by side."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.factories import PASSWORD
from tests.ops.conftest import ROOT, read_answer, until

JSON = {"Content-Type": "application/json"}


def post(server, path, body, headers=None):
    answer, text = server.ask(
        f"/api/v1{path}", method="POST", body=json.dumps(body), headers=JSON | (headers or {})
    )
    return answer.status, json.loads(text) if text else None


def test_a_server_that_is_told_to_stop_answers_what_it_has_begun(api, start_server):
    server = start_server()
    person = api.person()
    body = json.dumps({"email": person.email, "password": PASSWORD}).encode()
    head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(8)]
        for connection in connections:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        # Passwords are hashed two at a time: with the first answer, most of the others are in hand.
        answers = [read_answer(connections[0])]
        server.process.send_signal(signal.SIGTERM)
        answers += [read_answer(connection) for connection in connections[1:]]
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 8
    assert server.process.wait(60) == 0
    assert not server.is_answering()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_with_idle_and_silent_clients_stops(start_server, app, number):
    server = start_server()
    with server.connect(), server.connect() as kept:
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(kept).startswith(b"HTTP/1.1 200")
        assert server.stop(number) == 0


def test_a_killed_server_loses_nothing_and_leaves_its_port(api, start_server):
    server = start_server()
    license_ = api.license()
    seat = {"key": license_.key, "fingerprint": "m1"}
    assert post(server, "/licenses/activate", seat)[0] == 201
    workers = server.workers()
    server.process.kill()
    server.process.wait()
    gone = lambda: not any(map(_is_alive, workers)) and not server.is_answering()  # noqa: E731
    until(gone, "the workers outlive their server")
    again = start_server(port=server.port)
    assert post(again, "/licenses/validate", seat)[1]["data"]["code"] == "VALID"


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - the kernel's
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_dies_is_replaced(start_server, app):
    server = start_server()
    if not server.workers():
        pytest.skip("needs Linux's /proc")
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: server.workers() not in ([], [worker]) and server.is_answering(), "no new worker comes")
    assert server.stop() == 0


def run_flask(environ, *arguments, **settings):
    """A command that is expected to end by itself."""
    given = {f"DEVFORGE_{name}": value for name, value in settings.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEVFORGE_")}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**inherited, **environ, **given}, capture_output=True, text=True, check=False
    )


def test_several_workers_without_redis_are_refused_in_one_sentence(environ):
    without = {name: value for name, value in environ.items() if name != "DEVFORGE_REDIS_URL"}
    for command in ("serve", "start", "settings"):
        done = run_flask(without, command, WEB_WORKERS="2")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: More than one web process needs")
        assert "DEVFORGE_REDIS_URL" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(environ, live_server):
    done = run_flask(environ, "serve", "--port", str(live_server.port))
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Error: Port {live_server.port} on 127.0.0.1 cannot be opened: Address already in use."
    )


@pytest.mark.production_column("several processes need Redis")
def test_two_workers_refuse_a_revoked_session_at_the_next_request(api, start_server):
    server = start_server(WEB_WORKERS="2")
    person = api.person()

    def statuses():
        with ThreadPoolExecutor(8) as pool:
            ask = pool.map(lambda _: server.ask("/api/v1/auth/me", headers=person.headers), range(40))
            return {answer.status for answer, _ in ask}

    assert statuses() == {200}
    assert post(server, "/auth/logout", {}, person.headers)[0] == 204
    assert statuses() == {401}


@pytest.mark.production_column("several processes need Redis")
def test_two_workers_see_a_revocation_and_new_terms_at_the_next_validation(api, start_server):
    server = start_server(WEB_WORKERS="2")
    admin = api.admin()
    license_, other = api.license(policy={"max_machines": 1}), api.license()
    policy = f"/policies/{license_.policy_id}"

    def verdicts(issued):
        with ThreadPoolExecutor(8) as pool:
            ask = pool.map(lambda _: post(server, "/licenses/validate", {"key": issued.key}), range(40))
            return {body["data"]["code"] for _, body in ask}

    assert verdicts(license_) == verdicts(other) == {"VALID"}
    assert api.patch(policy, {"strict": True}, by=admin).status_code == 200
    assert verdicts(license_) == {"NO_MACHINES"}
    assert api.post(f"/licenses/{other.id}/revoke", by=admin).status_code == 200
    assert verdicts(other) == {"REVOKED"}


@pytest.mark.production_column("several processes need Redis")
def test_two_workers_count_one_limit_and_add_up_one_figure(api, start_server):
    server = start_server(WEB_WORKERS="2", LIMIT_ANONYMOUS="20", METRICS_TOKEN="figures")
    with ThreadPoolExecutor(8) as pool:
        ask = lambda _: post(server, "/licenses/validate", {"key": "unknown"})[0]  # noqa: E731
        codes = list(pool.map(ask, range(60)))
    # Two counters would admit 40; at the turn of the minute a sliding window is not exact.
    assert 20 <= codes.count(200) <= 25
    assert codes.count(429) == 60 - codes.count(200)
    for _ in range(6):  # whichever worker answers
        _, text = server.ask("/metrics", headers={"Authorization": "Bearer figures"})
        lines = [line for line in text.decode().splitlines() if "/licenses/validate" in line]
        counted = [
            float(line.split()[-1]) for line in lines if line.startswith("devforge_http_requests_total")
        ]
        assert sum(counted) == 60


def test_gunicorn_serves_too_and_writes_nothing_into_the_home_folder(api, start_server, tmp_path):
    server = start_server("gunicorn", "-c", "gunicorn.conf.py", "wsgi:app")
    stalled = [server.connect() for _ in range(8)]
    for connection in stalled:
        connection.sendall(
            b"POST /api/v1/licenses/validate HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
    key = api.license().key
    assert post(server, "/licenses/validate", {"key": key})[1]["data"]["code"] == "VALID"
    # Nobody's word is taken for an address or a scheme.
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    post(server, "/licenses/validate", {"key": key}, forged)
    for connection in stalled:
        connection.close()
    assert server.stop() == 0
    assert "192.0.2.1" not in server.log.read_text()
    assert [path.name for path in tmp_path.iterdir()] == [server.log.name]


def test_the_other_server_is_one_setting_away(start_server, app):
    server = start_server(SERVER="gunicorn")
    assert server.ask("/health")[0].headers["Server"].startswith("gunicorn")
