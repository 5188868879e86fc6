"""A daemon that speaks clamd's INSTREAM, and can be as bad as a real one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

HARMFUL = b"harmful bytes of the tests"


class FakeClamd:
    """Listens on loopback. ``mood`` says how it behaves, ``limit`` is its StreamMaxLength."""

    def __init__(self) -> None:
        self.mood, self.limit, self.known = "well", 1 << 30, {HARMFUL}
        self.seen: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"clamd://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            if self.mood != "silent":
                with contextlib.suppress(OSError, EOFError):
                    self._answer(connection)
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        file = connection.makefile("rb")
        with file:
            command = b""
            while not command.endswith(b"\0"):
                command += file.read(1)
            if command == b"zVERSION\0":
                connection.sendall(b"ClamAV 9.9.9/1/today\0")
                return
            if self.mood == "resets":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            data = b""
            while length := struct.unpack("!I", file.read(4))[0]:
                data += file.read(length)
                if len(data) > self.limit:
                    connection.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                    return
            self.seen.append(data)
            if self.mood == "cut off":
                connection.sendall(b"stream: O")
            elif self.mood == "confused":
                connection.sendall(b"Can't allocate memory ERROR\0")
            elif any(one in data for one in self.known):
                connection.sendall(b"stream: Tests.Harmful FOUND\0")
            else:
                connection.sendall(b"stream: OK\0")


@contextlib.contextmanager
def fake_clamd() -> Iterator[FakeClamd]:
    daemon = FakeClamd()
    try:
        yield daemon
    finally:
        daemon.stop()
