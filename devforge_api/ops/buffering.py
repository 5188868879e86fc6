"""Between server and application: slow clients do not hold the threads that serve the others.

A server hands a request over when its headers are there, not its body. A client that sends one
byte of its body and then nothing would hold a thread, and eight of them all eight. So bodies are
read first, by threads of which there are many, and only then does a request take one of the few
slots in which the application runs. (docs/decisions/0005-server.md)
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from devforge_api.core.slots import Slots
from devforge_api.ops.draining import announcing_close, is_stopping

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Threads beside those that serve, for bodies on their way; a waiting one costs some 50 KB.
READERS = 120
CHUNK = 64 * 1024
# Whoever asks whether we live must not wait behind requests that wait for a database which hangs.
WITHOUT_SLOT = {"/health", "/ready"}


class BufferedBodies:
    """A WSGI application that runs another one, a few requests at a time, on complete bodies.

    :param slots: how many requests the application serves at once.
    :param limit: bytes; of a larger body no more is read than shows that it is too large.
    :param unread: method and path of routes that read their bodies by themselves (core/uploads.py).
    """

    def __init__(
        self,
        application: WSGIApplication,
        *,
        slots: int,
        limit: int,
        unread: Container[tuple[str, str]] = (),
    ) -> None:
        self._application = application
        self._slots = Slots(slots)
        self._limit = limit
        self._unread = unread

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._is_to_be_read(environ):
            environ["wsgi.input"] = self._read(environ)
            if "HTTP_TRANSFER_ENCODING" not in environ:
                # Whoever reads it shall compare it with its declared length: it may be cut short.
                environ.pop("wsgi.input_terminated", None)
        if is_stopping():
            start_response = announcing_close(start_response)
        if environ["PATH_INFO"] in WITHOUT_SLOT:
            return self._application(environ, start_response)
        with self._slots:
            return self._application(environ, start_response)

    def _is_to_be_read(self, environ: WSGIEnvironment) -> bool:
        """Whether there is a body that the application would read; it refuses others by its headers."""
        if (environ.get("REQUEST_METHOD"), environ["PATH_INFO"]) in self._unread:
            return False
        if "HTTP_TRANSFER_ENCODING" in environ:
            return True
        declared = environ.get("CONTENT_LENGTH") or "0"
        return declared.isdecimal() and 0 < int(declared) <= self._limit

    def _read(self, environ: WSGIEnvironment) -> io.BytesIO:
        body, whole = environ["wsgi.input"], io.BytesIO()
        # To read on behind a declared length would only be another turn without the interpreter's lock.
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        most = self._limit + 1 if chunked else int(environ["CONTENT_LENGTH"])
        while whole.tell() < most:
            part = body.read(CHUNK)
            if not part:
                break
            whole.write(part)
        whole.seek(0)
        return whole
