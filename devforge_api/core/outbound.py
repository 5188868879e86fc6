"""Calls to addresses that users have given, none of which may lead into our own network.

A name is resolved once for each call, every address that it has is looked at, and the connection
goes to one of those addresses, so that a name which means something else a moment later gains
nothing. No redirect is followed, no proxy, password file or cookie is used, and what is answered
is thrown away but for its status and headers. A whole call ends in time, whatever the peer does.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import requests
from flask import current_app
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from devforge_api.core.cord import Cord
from devforge_api.core.destinations import Destination, DestinationRefused, Refusal, is_public, read, vet
from devforge_api.core.errors import Unavailable

__all__ = ["DestinationRefused", "Refusal", "check_url", "is_public", "resolve", "session", "tls_context"]
CONNECT_SECONDS = 5.0  # for one address
RESOLVE_SECONDS = 5.0  # where a person waits for it
ANSWER_BYTES = 16 * 1024  # of a body are read, and thrown away
USER_AGENT = "Dev-Forge-API/1"
# A resolver may keep a thread for longer than we wait; more of them are not begun in requests.
_CHECKS = threading.BoundedSemaphore(16)

Result = TypeVar("Result")


def check_url(url: str) -> None:
    """Look whether an address could be called now; resolves its name, outside of any transaction.

    :raises DestinationRefused: it must not be.
    :raises Unavailable: too many names are being looked up already.
    """
    local = _local_allowed()
    destination = read(url, local=local)
    if not _CHECKS.acquire(blocking=False):
        raise Unavailable(5)

    def work(_: Cord) -> None:
        try:
            _vetted(destination, local=local)
        finally:
            _CHECKS.release()

    try:
        _bounded(work, RESOLVE_SECONDS)
    except TimeoutError:
        raise DestinationRefused(Refusal.ADDRESS) from None


def session(timeout: float | None = None) -> requests.Session:
    """A session that calls only what may be called.

    What goes wrong is raised as `requests` does: ``DestinationRefused``, ``Timeout``, ``SSLError``,
    ``ConnectionError``. An answer, of whatever status, has no content.

    :param timeout: seconds for a whole call; default: ``OUTBOUND_SECONDS``.
    """
    seconds = current_app.config["OUTBOUND_SECONDS"] if timeout is None else timeout
    return _Session(_Adapter(seconds, local=_local_allowed()))


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name. :raises OSError: it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """How peers prove who they are: by a certificate for their name, which the system trusts."""
    return ssl.create_default_context()


def _local_allowed() -> bool:
    return bool(current_app.config["LOCAL_DESTINATIONS"] == "loopback")


def _vetted(destination: Destination, *, local: bool) -> list[str]:
    """The addresses to connect to. :raises DestinationRefused: not every one of them may be."""
    try:
        addresses = resolve(destination.host, destination.port)
    except (OSError, ValueError):  # UnicodeError, of names that DNS cannot hold, among them
        raise DestinationRefused(Refusal.ADDRESS) from None
    return vet(destination, addresses, local=local)


def _bounded(work: Callable[[Cord], Result], seconds: float) -> Result:
    """Do something with a connection, and break it off when the time is over.

    On a thread of its own: the resolver keeps to no timeout of ours.

    :raises TimeoutError: it has not come to an end.
    """
    cord = Cord()
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work(cord))
        except Exception as error:  # noqa: BLE001 - handed over to who waits
            future.set_exception(error)
        finally:
            cord.release()

    threading.Thread(target=run, name="devforge-outbound", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        cord.pull()
        raise


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]


class _Line(http.client.HTTPConnection):
    """A connection to one of some addresses, in the name of the host that they belong to."""

    def __init__(self, destination: Destination, addresses: list[str], cord: Cord, seconds: float) -> None:
        super().__init__(destination.host, destination.port, timeout=seconds)
        self.default_port = 443 if destination.scheme == "https" else 80
        self._destination, self._addresses, self._cord = destination, addresses, cord

    def connect(self) -> None:
        """Connect to the first address that takes us."""
        connected = self._connected()
        self._cord.tie(connected)
        connected.settimeout(self.timeout)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._destination.scheme == "https":
            connected = tls_context().wrap_socket(connected, server_hostname=self._destination.host)
        self.sock = connected

    def _connected(self) -> socket.socket:
        *others, last = self._addresses
        for address in others:
            try:
                return socket.create_connection((address, self._destination.port), CONNECT_SECONDS)
            except OSError:
                # A name may have thousands of addresses, each of which says nothing for so long.
                if self._cord.is_pulled():
                    raise
        return socket.create_connection((last, self._destination.port), CONNECT_SECONDS)


class _Adapter(BaseAdapter):
    """How the session sends; whatever a caller asks for of certificates or proxies counts nothing."""

    def __init__(self, seconds: float, *, local: bool) -> None:
        super().__init__()
        self._seconds, self._local = seconds, local

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, and return its answer without the body.

        :param timeout: seconds that shorten the session's own; a pair counts nothing.
        """
        seconds = min(self._seconds, timeout) if isinstance(timeout, int | float) else self._seconds
        url, body = request.url or "", request.body
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes | None):
            raise TypeError("a body is sent as a whole: bytes or text")
        destination = read(url, local=self._local)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        headers["Connection"] = "close"

        def work(cord: Cord) -> _Answer:
            addresses = _vetted(destination, local=self._local)
            line = _Line(destination, addresses, cord, seconds)
            try:
                line.request(request.method or "GET", destination.target, body, headers)
                with line.getresponse() as got:
                    got.read(ANSWER_BYTES)
                    return _Answer(got.status, got.reason, got.getheaders())
            finally:
                line.close()

        try:
            answer = _bounded(work, seconds)
        except TimeoutError as error:
            raise requests.Timeout("no answer in time", request=request) from error
        except ssl.SSLError as error:
            raise requests.exceptions.SSLError(error, request=request) from error
        except DestinationRefused:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise requests.ConnectionError(error, request=request) from error
        return _response(request, answer)

    def close(self) -> None:
        """Nothing is kept open between calls."""


def _response(request: requests.PreparedRequest, answer: _Answer) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = answer.status, answer.reason
    response.headers = CaseInsensitiveDict(answer.headers)
    response.url, response.request = request.url or "", request
    response._content = b""
    return response


class _Session(requests.Session):
    """A session that goes nowhere but where it was sent."""

    def __init__(self, adapter: _Adapter) -> None:
        super().__init__()
        self.trust_env, self.max_redirects = False, 0
        self.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept": "*/*"})
        self.adapters.clear()
        self.mount("https://", adapter)
        self.mount("http://", adapter)  # which refuses it where it must be refused

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: an answer that points elsewhere is an answer."""
        return None
