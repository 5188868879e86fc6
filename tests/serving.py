"""The application of a test, served over real HTTP at the address that it says it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import make_server

from tests.processes import free_port


@contextmanager
def served(make_api: Callable[..., Any], **settings: str) -> Iterator[tuple[Any, str]]:
    """The API by the fixture ``make_api``, and its URL without a path, until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    api = make_api(DEVFORGE_PUBLIC_URL=url, **settings)
    server = make_server("127.0.0.1", port, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api, url
    finally:
        server.shutdown()
        thread.join()
