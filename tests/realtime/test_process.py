"""The process itself: what starts it, what it is tied to, and what the doctor sees of it."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import settings_for
from tests.ops.conftest import ROOT, Server, running, until
from tests.processes import free_port
from tests.realtime.client import Window
from tests.realtime.conftest import within


@contextmanager
def started(folder, **settings):
    """`flask start`, and the process that it starts beside itself."""
    port = free_port()
    environ = settings_for("embedded", folder, f"sqlite:///{folder / 'own.sqlite3'}", None)
    command = ("flask", "--app", "wsgi", "start", "--port", str(port), "--no-demo")
    with running(environ, folder, *command, port=port, **settings) as server:
        streams = Server(server.process, port + 1, server.log)
        until(streams.is_answering, f"no streams: {server.log.read_text()}")
        yield server, streams


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def ask(server, path, body, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    answer, text = server.ask(path, method="POST", body=json.dumps(body), headers=headers)
    assert answer.status < 300, text
    return json.loads(text)["data"]


@pytest.mark.parametrize("kind", ["granian", "gunicorn"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_streams_start_and_end_with_the_server(tmp_path, number, kind):
    with started(tmp_path, SERVER=kind) as (server, streams):
        account = {"email": "ada@example.com", "password": "staple orbit lantern"}
        ask(server, "/api/v1/auth/register", account)
        token = ask(server, "/api/v1/auth/login", account)["access_token"]
        made = ask(server, "/api/v1/realtime/tickets", {}, token)
        assert made["stream_url"].startswith(f"http://127.0.0.1:{streams.port}/")
        assert f":{streams.port}/" in server.log.read_text()
        with Window(streams.port, f"?ticket={made['ticket']}") as opened:
            opened.wait_for("ready")
            server.process.send_signal(number)
            opened.rest()
        server.process.wait(30)
        assert within(15, lambda: is_free(streams.port))


def start_command(folder, port, **settings):
    environ = settings_for("embedded", folder, f"sqlite:///{folder / 'own.sqlite3'}", None)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEVFORGE_")}
    line = [sys.executable, "-m", "flask", "--app", "wsgi", "start", "--port", str(port), "--no-demo"]
    return subprocess.run(
        line, cwd=ROOT, env={**inherited, **environ, **settings}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip


def test_a_port_for_streams_that_is_taken_is_named_before_anything_is_done(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = start_command(tmp_path, taken - 1)
        assert done.returncode != 0
        assert f"Port {taken} on 127.0.0.1" in done.stderr
        assert done.stderr.count("\n") == 1
        named = start_command(tmp_path, free_port(), DEVFORGE_REALTIME_PORT=str(taken))
        assert f"Port {taken} on 127.0.0.1" in named.stderr
    assert not (tmp_path / "own.sqlite3").exists()


def test_the_process_leaves_nothing_in_the_home_folder(api, start):
    server = start()
    home = Path(server.log).parent
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_a_worker_that_is_killed_is_replaced(api, start):
    server = start()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    assert within(40, lambda: server.workers() not in ([], [worker]) and server.is_answering())


def test_a_worker_ends_when_its_main_process_is_killed(api, start):
    server = start()
    server.stop(signal.SIGKILL)
    assert within(15, lambda: is_free(server.port))


def test_the_doctor_tells_whether_streams_are_served(make_api, server):
    def seen(url):
        app = make_api(DEVFORGE_REALTIME_URL=url).app
        report = json.loads(app.test_cli_runner().invoke(args=["doctor", "--json"]).output)
        (found,) = [one for one in report if one["part"] == "realtime"]
        return found["state"], found["advice"]

    assert seen(server.url) == ("ok", "")
    state, advice = seen(f"http://127.0.0.1:{free_port()}")
    assert state == "warning"
    assert "flask realtime" in advice
