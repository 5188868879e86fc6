"""Ends a connection from outside, whatever its peer does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Cord:
    """Breaks a connection off from another thread: also under TLS, and before there is one.

    A timeout of a socket bounds one read, and so no peer that sends a byte now and then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pulled = False

    def tie(self, connected: socket.socket) -> None:
        """Hold on to a connection, whatever is wrapped around it later.

        :raises OSError: the cord was pulled before.
        """
        with self._lock:
            if self._pulled:
                connected.close()
                raise OSError("too late")
            self._socket = connected.dup()

    def pull(self) -> None:
        """End it, now or as soon as it is there."""
        with self._lock:
            self._pulled = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def is_pulled(self) -> bool:
        """Whether nobody waits for it any more."""
        with self._lock:
            return self._pulled

    def release(self) -> None:
        """Let go."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
