"""How a worker process of granian stops: the door is shut first, then what came in is answered.

granian's own way has two faults. Its workers leave signals to the main thread, which sleeps: where
the kernel gives SIGTERM to another thread, nobody hears it, and the process is killed in the end.
And it shuts everything in one moment: on a connection that is kept alive, a request may just be
on its way. So one thread waits for the signal here, and granian hears of it a little later.
(docs/decisions/0005-server.md)
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

# How long clients that keep their connection have to be told, by the answer to their next request.
NOTICE_SECONDS, LOOK_SECONDS = 1.0, 0.05
STOPPING = {signal.SIGTERM, signal.SIGINT}
# Linux: attaches a packet filter to a socket (socket(7)); Python does not name it.
SO_ATTACH_FILTER = 26
# The filter, in classic BPF: of a TCP header's 14th byte, the flags; a packet with SYN among them
# is dropped (0 bytes of it pass), any other one passes.
NO_NEW_CONNECTIONS = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in [(0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
)

_stopping = threading.Event()


def is_stopping() -> bool:
    """Whether this process has been told to stop."""
    return _stopping.is_set()


def announcing_close(start_response: StartResponse) -> StartResponse:
    """Tell the client that this is the connection's last answer (RFC 9112 9.6)."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        return start_response(status, [*headers, ("Connection", "close")], *exc_info)

    return start


def stop_in_order() -> None:
    """Take SIGTERM and SIGINT out of the main thread's hands, into those of a thread that is awake.

    To be called by the main thread, before the server starts its own threads: they inherit that
    the signals are blocked, as child processes would.
    """
    inherited = {number: signal.getsignal(number) for number in STOPPING}
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    if any(_has_heard(handler) for handler in inherited.values()):
        os._exit(0)
    threading.Thread(target=_stop, args=(inherited,), name="devforge-stop", daemon=True).start()


def _has_heard(handler: Any) -> bool:
    """Whether a signal came before: a worker is forked with the handlers of granian's main process.

    They note it in the worker's copy of the main process's server, where nobody looks.
    """
    return bool(getattr(getattr(handler, "__self__", None), "interrupt_signal", False))


def _stop(inherited: dict[signal.Signals, Any]) -> None:
    number = signal.Signals(signal.sigwait(STOPPING))
    handler = signal.getsignal(number)
    if handler is inherited[number] or not callable(handler):
        os._exit(0)  # the server is not there yet, and nobody has been served
    _stopping.set()
    try:
        _give_notice()
    finally:
        handler(number, None)  # once: granian 2.8 blocks the whole process at the third time


def _give_notice() -> None:
    """Let nobody in, and wait a moment for those who are inside."""
    ports = refuse_connections()
    deadline = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)  # at least once: some may still wait to be accepted
        if ports and not _anybody_inside(ports):
            return


def refuse_connections() -> set[int]:
    """Let no further connection come in on this process's ports; returns them, none without /proc.

    Those that wait to be accepted stay, which closing the port would reset. A client repeats its
    SYN after a second, and then meets this server's successor, or a closed port.
    """
    code = ctypes.create_string_buffer(NO_NEW_CONNECTIONS)
    program = struct.pack("HP", len(NO_NEW_CONNECTIONS) // 8, ctypes.addressof(code))
    ports = set()
    for server in _sockets():
        if server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            ports.add(server.getsockname()[1])
            try:
                server.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            except OSError:
                pass  # a kernel without filters: some may come in during the last moment
    return ports


def _anybody_inside(ports: set[int]) -> bool:
    return any(found.getsockname()[1] in ports and _is_connected(found) for found in _sockets())


def _is_connected(found: socket.socket) -> bool:
    try:
        return bool(found.getpeername())
    except OSError:
        return False


def _sockets() -> Iterator[socket.socket]:
    """This process's TCP sockets, each as a copy that is closed again; none without Linux's /proc."""
    for entry in Path("/proc/self/fd").glob("*"):
        with _copied(int(entry.name)) as found:
            if found is not None and found.family in {socket.AF_INET, socket.AF_INET6}:
                yield found


@contextmanager
def _copied(descriptor: int) -> Iterator[socket.socket | None]:
    try:
        copy = os.dup(descriptor)
    except OSError:
        yield None  # closed in the meantime
        return
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        yield None  # a file, or a pipe
        return
    with found:
        yield found
