"""Whether a file is known to be harmful: ClamAV's daemon is asked, if there is one.

Its protocol is a handful of bytes (clamd(8), INSTREAM). The clients on PyPI wait for each packet as
long as for the whole, so that a daemon which dribbles would keep them for ever.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from flask import current_app

from devforge_api.core.errors import Unavailable

CONNECT_SECONDS, SCAN_SECONDS, CHECK_SECONDS = 3.0, 20.0, 3.0
CHUNK = 64 * 1024
LONGEST_ANSWER = 4096


class ScannerAway(Unavailable):
    """Files cannot be looked through at the moment; try again shortly."""

    code = "SCANNER_AWAY"

    def __init__(self, why: str = "") -> None:
        """:param why: for the operator; never told to callers."""
        super().__init__(30)
        self.why = why

    def __str__(self) -> str:
        return self.why or self.message


class TooLargeToScan(Exception):
    """The daemon does not take so many bytes: its ``StreamMaxLength`` is less than what may be uploaded."""


@dataclass(frozen=True, slots=True)
class Clamd:
    """The daemon at an address.

    :param where: host and port, or the path of a socket.
    """

    where: tuple[str, int] | str

    @classmethod
    def at(cls, url: str) -> Clamd:
        """By the setting: ``clamd://host:3310`` or ``clamd+unix:///path``."""
        parts = urlsplit(url)
        if parts.scheme == "clamd+unix":
            return cls(unquote(parts.path))
        return cls((parts.hostname or "", parts.port or 0))

    def scan(self, file: BinaryIO) -> str | None:
        """The name of what is found in a file, from its beginning; None: nothing.

        :raises ScannerAway: no answer within `SCAN_SECONDS`, or one that says nothing of the file.
        :raises TooLargeToScan: it will not be looked through this time or any other.
        """
        file.seek(0)
        with _Call(self.where, SCAN_SECONDS) as call:
            try:
                call.send(b"zINSTREAM\0")
                while piece := file.read(CHUNK):
                    call.send(struct.pack("!I", len(piece)) + piece)
                call.send(struct.pack("!I", 0))
            except OSError as error:
                # It closes as soon as it has heard too much; what it said before can still be read.
                if not isinstance(error, BrokenPipeError | ConnectionResetError):
                    raise
            said = call.answer()
        if said == "stream: OK":
            return None
        if said.startswith("stream: ") and said.endswith(" FOUND"):
            return said.removeprefix("stream: ").removesuffix(" FOUND")
        if "size limit exceeded" in said:
            raise TooLargeToScan(said)
        raise ScannerAway(f"clamd says {said!r}")

    def check(self) -> str:
        """Ask what it is.

        :raises ScannerAway: no answer.
        """
        with _Call(self.where, CHECK_SECONDS) as call:
            call.send(b"zVERSION\0")
            return call.answer()


class _Call:
    """One connection, which ends at a deadline whatever the other side does."""

    def __init__(self, where: tuple[str, int] | str, seconds: float) -> None:
        self._where, self._deadline = where, time.monotonic() + seconds

    def __enter__(self) -> _Call:
        try:
            if isinstance(self._where, str):
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(CONNECT_SECONDS)
                try:
                    self._socket.connect(self._where)
                except OSError:
                    self._socket.close()
                    raise
            else:
                self._socket = socket.create_connection(self._where, timeout=CONNECT_SECONDS)
        except OSError as error:
            raise ScannerAway(f"clamd: {_why(error)}") from error
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._socket.close()
        if isinstance(error, OSError):
            raise ScannerAway(f"clamd: {_why(error)}") from error

    def send(self, data: bytes) -> None:
        self._wait()
        self._socket.sendall(data)

    def answer(self) -> str:
        said = b""
        while not said.endswith(b"\0") and len(said) < LONGEST_ANSWER:
            self._wait()
            piece = self._socket.recv(1024)
            if not piece:
                break
            said += piece
        if not said.endswith(b"\0"):
            raise ConnectionError("it was cut off")
        return said[:-1].decode("utf-8", "replace").strip()

    def _wait(self) -> None:
        """Each step may take what is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        self._socket.settimeout(left)


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def scanner() -> Clamd | None:
    """The scanner that the settings name; None: files are not looked through."""
    url: str | None = current_app.config["FILE_SCANNER"]
    return Clamd.at(url) if url else None
