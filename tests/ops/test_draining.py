"""A server that is told to stop under load: nobody whom it has let in is sent away unanswered."""

import itertools
import json
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from granian import Granian

from devforge_api.ops.draining import stop_in_order
from tests.factories import PASSWORD
from tests.ops.conftest import read_answer, until

LIMITS = {f"LIMIT_{name}": "1000000" for name in ("ANONYMOUS", "CREDENTIALS", "ACCOUNT_FAILURES")}
LOGIN, VALIDATE = "/api/v1/auth/login", "/api/v1/licenses/validate"


@dataclass
class Asked:
    """A request whose last byte was sent at ``sent`` (monotonic seconds), and all that came back."""

    sent: float
    answer: bytes = b""


def request_bytes(path, body):
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def ask_until_refused(server, request, asked):
    """One client: keeps its connection while it may, else opens another, until it is not let in.

    It thinks between two requests: what a stopping server cuts off is what has just been idle.
    """
    with ExitStack() as stack:
        connection = None
        for number in itertools.count():
            time.sleep(number % 5 * 0.004)
            if connection is None:
                try:
                    connection = stack.enter_context(server.connect())
                except ConnectionRefusedError:
                    return
            with suppress(ConnectionError):  # it shows as an answer that is missing
                connection.sendall(request)
            asked.append(Asked(time.monotonic()))
            asked[-1].answer = answer = read_answer(connection)
            if not answer or b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower():
                connection.close()
                connection = None


def is_whole(answer):
    head, found, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return bool(found) and len(body) == int(length.split(b":")[1])


@pytest.mark.parametrize("kind", ["granian", pytest.param("gunicorn", marks=pytest.mark.extended)])
def test_a_stop_under_load_loses_no_request(api, start_server, on_postgresql, kind):
    server = start_server(SERVER=kind, WEB_WORKERS="2" if on_postgresql else "1", **LIMITS)
    person = api.person()
    fast = request_bytes(VALIDATE, {"key": api.license().key})
    slow = request_bytes(LOGIN, {"email": person.email, "password": PASSWORD})
    asked = [[] for _ in range(32)]
    with ThreadPoolExecutor(len(asked)) as pool:
        callers = [
            pool.submit(ask_until_refused, server, fast if number % 8 else slow, mine)
            for number, mine in enumerate(asked)
        ]
        until(lambda: all(len(mine) > 3 for mine in asked), "the load does not begin")
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.result()
    assert server.process.wait(60) == 0
    requests = [request for mine in asked for request in mine]
    before = [request.answer[:12] for request in requests if request.sent < told]
    assert set(before) == {b"HTTP/1.1 200"}
    # Who is let in after the signal is served, too.
    after = [request.answer for request in requests if request.sent >= told]
    assert {answer[:12] for answer in after} <= {b"HTTP/1.1 200"}
    assert all(is_whole(request.answer) for request in requests)


def test_a_stopping_server_says_so_to_those_who_keep_their_connection(api, start_server):
    server = start_server()
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect() as kept, server.connect() as other:
        for connection in (kept, other):
            connection.sendall(health)
            assert b"connection: close" not in read_answer(connection).lower()
        server.process.send_signal(signal.SIGTERM)
        last = b""
        while b"connection: close" not in last.lower():
            kept.sendall(health)
            last = read_answer(kept)
            assert last.startswith(b"HTTP/1.1 200")
        assert kept.recv(1) == b""
        assert other.recv(1) == b""  # had nothing to ask
    assert server.process.wait(60) == 0


def test_the_signal_is_heard_whichever_thread_receives_it(start_server, app):
    server = start_server()
    if not server.workers():
        pytest.skip("needs Linux's /proc")
    (worker,) = server.workers()
    threads = {int(task.name) for task in Path(f"/proc/{worker}/task").iterdir()} - {worker}
    os.kill(max(threads), signal.SIGTERM)  # the kernel prefers the thread that is named
    until(lambda: server.workers() not in ([], [worker]) and server.is_answering(), "the worker stays")
    assert server.stop() == 0


def test_impatience_does_not_cut_off_what_is_in_hand(api, start_server):
    """Ctrl-C reaches the workers as well as their parent, and people press it more than once."""
    server = start_server(**LIMITS)
    login = request_bytes(LOGIN, {"email": api.person().email, "password": PASSWORD})
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(12)]
        for connection in connections:
            connection.sendall(login)
        answers = []
        for connection in connections:
            answers.append(read_answer(connection))
            for process in [server.process.pid, *server.workers()]:
                with suppress(ProcessLookupError):  # it has ended; whether too early, the answers say
                    os.kill(process, signal.SIGINT)
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 12
    assert server.process.wait(60) == 0


def _serve(handler, ready):
    """A worker: ``handler`` is what its server installs for SIGTERM; None while it is starting."""
    stop_in_order()
    if handler:
        signal.signal(signal.SIGTERM, handler)
    ready.set()
    threading.Event().wait()


def _start_too_late():
    """A worker that was told to stop while it imported the application."""
    signal.signal(signal.SIGTERM, Granian("wsgi:app").signal_handler_interrupt)
    os.kill(os.getpid(), signal.SIGTERM)
    stop_in_order()
    os._exit(7)


def test_a_worker_that_was_told_to_stop_before_it_could_listen_does_not_serve():
    worker = multiprocessing.get_context("spawn").Process(target=_start_too_late)
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0


def _end(number, _frame):
    os._exit(7)


@pytest.mark.parametrize(("handler", "code"), [(None, 0), (_end, 7)], ids=["starting", "serving"])
def test_a_worker_ends_by_its_servers_handler_or_at_once_while_there_is_none(handler, code):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=_serve, args=(handler, ready))
    worker.start()
    assert ready.wait(60)
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == code
