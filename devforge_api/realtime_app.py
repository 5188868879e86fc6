"""What `flask realtime` becomes: gunicorn with one gevent worker that serves streams and nothing else.

A stream waits nearly all the time, and a thread for each would cost what thousands of greenlets do
not. gevent has to change the standard library before anything is imported that keeps a piece of it;
so this module imports nothing of the application, which is made in the worker, after the change
(docs/decisions/0013-realtime.md).
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent.exceptions import BlockingSwitchOutError
from gunicorn.app.base import BaseApplication
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

import config

if TYPE_CHECKING:
    from flask import Flask

    from devforge_api.notifications.service.hub import Hub

ENDPOINTS = {"realtime.Streams", "windows.converse", "ops.Health", "ops.Ready", "ops.Metrics"}
# A client that takes nothing for so long is dropped: it comes back, and has lost nothing.
SEND_SECONDS = 10
# What the kernel holds for a client that reads slowly, in bytes.
SEND_BUFFER = 64 * 1024
OTHERS = 256  # connections beside the streams, for those who are refused and for probes
KEEP_SECONDS, GRACE_SECONDS = 5, 10  # for the next request's head; from SIGTERM to the end
FAREWELL_SECONDS = 0.5  # where the server has gone already
POOL_SECONDS = 30  # when all come back at once they take turns: to wait costs nothing here
SQLITE_SECONDS = 0.2  # for which all streams may wait for another process's transaction


class StreamWorker(GeventWorker):  # type: ignore[misc, unused-ignore]
    """The worker. Clients that stop reading do not stay."""

    hub: Hub | None = None

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """Serve one connection."""
        client.settimeout(SEND_SECONDS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: also for what the kernel has taken already
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_SECONDS * 1000)
        AsyncWorker.handle(self, listener, client, addr)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: the streams end, and then the worker."""
        super().handle_exit(sig, frame)
        if self.hub is not None:
            gevent.spawn(self.hub.stop)


class Realtime(BaseApplication):  # type: ignore[misc, unused-ignore]
    """gunicorn with our settings; it reads none of its own.

    :param while_open: a pipe's reading end: when nobody holds the other end any more, this process ends.
    """

    def __init__(self, host: str, port: int, *, connections: int, while_open: int | None) -> None:
        self._options = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "worker_class": StreamWorker,
            "workers": 1,
            "worker_connections": connections + OTHERS,
            "backlog": 2048,
            "keepalive": KEEP_SECONDS,
            "timeout": 60,
            "graceful_timeout": GRACE_SECONDS,
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",  # DEVFORGE_TRUSTED_PROXIES decides whose word counts
            "control_socket_disable": True,  # it would be made in the home folder
            "loglevel": "warning",
            "post_worker_init": self._begin,
            "post_fork": _quieten,
        }
        self._while_open = while_open
        super().__init__()

    def load_config(self) -> None:
        """Take the options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application, in the worker."""
        from devforge_api.app import create_app  # noqa: PLC0415 - see above
        from devforge_api.core.logs import JsonFormatter  # noqa: PLC0415
        from devforge_api.notifications.routes.realtime import serve_streams  # noqa: PLC0415

        app = create_app(
            HOT_ROUTES=False, DATABASE_POOL_SECONDS=POOL_SECONDS, SQLITE_BUSY_SECONDS=SQLITE_SECONDS
        )
        for handler in logging.getLogger("gunicorn.error").handlers:
            handler.setFormatter(JsonFormatter())
        app.before_request_funcs.setdefault(None, []).insert(0, _hide_others)
        StreamWorker.hub = serve_streams(app, _notice)
        return app

    def _begin(self, worker: StreamWorker) -> None:
        if self._while_open is not None:
            gevent.spawn(_follow, self._while_open, worker)


def _follow(pipe: int, worker: StreamWorker) -> None:
    """End when whoever has started us has ended, in whatever way."""
    select.select([pipe], [], [])  # gevent's by now
    if worker.hub is not None:
        worker.hub.stop()
    time.sleep(FAREWELL_SECONDS)
    os.kill(worker.ppid, signal.SIGINT)


def _notice(environ: dict[str, Any], gone: Callable[[], None]) -> Callable[[], None]:
    """Call when the client of a request goes; costs no greenlet. Returns what ends it."""
    client: socket.socket = environ["gunicorn.socket"]
    readable = gevent.get_hub().loop.io(client.fileno(), 1)

    def look() -> None:
        try:
            end = client.recv(1, socket.MSG_PEEK) == b""
        except BlockingSwitchOutError:  # there was nothing after all, and here nobody can wait
            return
        except OSError:
            end = True
        readable.stop()  # or what it has sent, which nobody reads, would wake us again and again
        if end:
            gone()

    readable.start(look)

    def close() -> None:
        readable.stop()
        readable.close()

    return close


def _hide_others() -> None:
    """What the other process serves is not there in this one."""
    from flask import request  # noqa: PLC0415
    from werkzeug.exceptions import NotFound  # noqa: PLC0415

    if request.endpoint is not None and request.endpoint not in ENDPOINTS:
        request.url_rule, request.routing_exception = None, NotFound()


def _quieten(_arbiter: object, _worker: object) -> None:
    logging.getLogger("gunicorn.error").addFilter(_is_told)


def _is_told(record: logging.LogRecord) -> bool:
    """Leave addresses' queries out of gunicorn's log: tickets stand there. Clients that go are no news."""
    if record.exc_info and isinstance(record.exc_info[1], TimeoutError):
        return False
    if isinstance(record.args, tuple):
        record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
    return True


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="flask realtime")
    parser.add_argument("--while-open", type=int)
    options = parser.parse_args()
    settings = config.load(os.environ)
    realtime = Realtime(
        settings["HOST"],
        settings["REALTIME_PORT"],
        connections=settings["REALTIME_CONNECTIONS"],
        while_open=options.while_open,
    )
    try:
        realtime.run()
    except SystemExit as end:
        # A server that has started us would take some of gunicorn's codes for those of its own workers.
        return 1 if end.code else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
