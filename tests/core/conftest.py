from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from devforge_api.core.security import public
from tests.factories import Api


@pytest.fixture
def add_route() -> Callable[..., None]:
    """A public route of a test's own, on an application that has served nothing yet."""

    def add(api: Api, path: str, view: Callable[..., Any], **options: Any) -> None:
        declared = public()(view)
        api.app.add_url_rule(path, view.__name__, declared, **options)
        api.app.extensions["devforge-access"][view.__name__, "GET"] = declared.__dict__["access"]

    return add


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], None]:
    """Poll for a condition; a test that waits in vain fails."""

    def wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "the condition was not met"
            time.sleep(0.01)

    return wait
