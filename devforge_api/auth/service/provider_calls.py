"""Calls to identity providers: bounded in time, size and number, and never in a transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from urllib3.exceptions import HTTPError

from devforge_api.auth.errors import ProviderUnavailable
from devforge_api.core import json as strict_json
from devforge_api.core.db import in_unit_of_work, release_connection
from devforge_api.core.errors import DomainError, Unavailable
from devforge_api.core.slots import lend_slot

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 3.0, 5.0, 10.0
MAXIMUM_BYTES = 256 * 1024
# Who waits holds one of the server's threads, of which there are some more (ops/buffering.py).
CALLS_AT_ONCE = 32

_places = threading.BoundedSemaphore(CALLS_AT_ONCE)


@contextmanager
def calling_out() -> Iterator[None]:
    """Wait for somebody else's server in this block, while another request has our slot.

    :raises Unavailable: too many wait already.
    :raises RuntimeError: in an open transaction, which would hold its locks for as long.
    """
    if in_unit_of_work():
        raise RuntimeError("providers are called before the unit of work, not inside it")
    release_connection()  # more may wait here than there are connections
    if not _places.acquire(blocking=False):
        raise Unavailable(2)
    try:
        with lend_slot():
            yield
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ProviderUnavailable(5) from error
    finally:
        _places.release()


class ProviderSession(OAuth2Session):  # type: ignore[misc, unused-ignore]
    """Authlib's client. It follows no redirect: what a provider says stands where it said it would."""

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Send a request, and read a bounded answer in bounded time.

        :raises requests.RequestException: no answer, too slow, too large, or a redirect.
        """
        kwargs |= {"timeout": (CONNECT_SECONDS, READ_SECONDS), "allow_redirects": False, "stream": True}
        # Not compressed: a small answer could unfold into a huge one.
        kwargs["headers"] = {**(kwargs.get("headers") or {}), "Accept-Encoding": "identity"}
        response: requests.Response = super().request(method, url, **kwargs)
        _read(response)
        if 300 <= response.status_code < 400 or response.status_code >= 500:
            raise requests.HTTPError(f"answered {response.status_code}", response=response)
        return response


def _read(response: requests.Response) -> None:
    """Read the body here: requests' own way waits for as many bytes as it has asked for."""
    until, body = time.monotonic() + WHOLE_SECONDS, bytearray()
    try:
        while part := response.raw.read1(64 * 1024):
            body += part
            if len(body) > MAXIMUM_BYTES:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
            if time.monotonic() > until:
                raise requests.ReadTimeout("the answer takes too long")
    finally:
        response.close()
    response._content = bytes(body)


def _without_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Also keeps requests from looking for some in ``.netrc``."""
    return request


def fetch_json(url: str, *, bearer: str | None = None, accept: str = "application/json") -> Any:
    """What stands at an address of a provider, in `calling_out`.

    :param bearer: the access token that it asks for.
    :raises requests.RequestException: no answer, not 200, or no JSON.
    """
    headers = {"Accept": accept, "User-Agent": "dev-forge-api"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    with ProviderSession() as session:
        response = session.request(
            "GET", url, withhold_token=True, auth=_without_credentials, headers=headers
        )
    if response.status_code != 200:
        raise requests.HTTPError(f"answered {response.status_code}", response=response)
    try:
        return strict_json.parse(response.content)
    except DomainError as error:
        raise requests.exceptions.InvalidJSONError("no JSON") from error
