"""The realtime process, as `flask realtime` starts it, on the column's own data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from devforge_api.core.db import unit_of_work
from devforge_api.core.realtime import feed
from tests.factories import Api, Person
from tests.ops.conftest import Server, running
from tests.processes import free_port

COMMAND = ("flask", "--app", "wsgi", "realtime")


@contextmanager
def realtime_server(environ: dict[str, str], folder: Path, **settings: str) -> Iterator[Server]:
    port = free_port()
    with running(environ, folder, *COMMAND, port=port, REALTIME_PORT=str(port), **settings) as server:
        yield server


@pytest.fixture(scope="module")
def server(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running process beside the `api` fixture, for a file of tests."""
    with realtime_server(environ, tmp_path_factory.mktemp("realtime")) as found:
        yield found


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start further ones with other settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(realtime_server(environ, tmp_path, **settings))


@pytest.fixture
def note(api: Api) -> Callable[..., None]:
    """Tell a person something; its number, and how long its text is."""

    def tell(person: Person, *numbers: int, size: int = 0) -> None:
        with api.app.app_context(), unit_of_work():
            for number in numbers:
                data: dict[str, Any] = {"number": number}
                feed.append([person.id], "note", data | ({"text": "x" * size} if size else {}))

    return tell


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
