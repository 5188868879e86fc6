"""What the tests of licences share: a verdict in one call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.licenses.routes import client, seats
from devforge_api.licenses.schemas import machines
from tests.factories import Api, Issued


@pytest.fixture
def verdict(api: Api) -> Callable[..., dict[str, Any]]:
    """Validate a licence, as an app would, and give the answer's data."""

    def ask(license_: Issued | str, **scope: Any) -> dict[str, Any]:
        key = license_ if isinstance(license_, str) else license_.key
        answer = api.post("/licenses/validate", {"key": key, **scope})
        assert answer.status_code == 200, answer.json
        data: dict[str, Any] = answer.get_json()["data"]
        return data

    return ask


@pytest.fixture
def activate(api: Api) -> Callable[..., Any]:
    """Ask for a seat."""

    def ask(license_: Issued | str, fingerprint: str, **values: Any) -> Any:
        key = license_ if isinstance(license_, str) else license_.key
        return api.post("/licenses/activate", {"key": key, "fingerprint": fingerprint, **values})

    return ask


class Clock:
    """The time of the server, as far as licences ask for it; it passes when a test says so."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def go_on(self, **span: float) -> None:
        self.ahead += timedelta(**span)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Lets time pass for what apps ask."""
    found = Clock()
    for module in (client, seats, machines):
        monkeypatch.setattr(module, "utc_now", found)
    return found


@pytest.fixture
def ask(api: Api) -> Callable[..., Any]:
    """Another of the calls that an app makes with a key and a fingerprint: its name first."""

    def call(name: str, license_: Issued | str, fingerprint: str, /, **values: Any) -> Any:
        key = license_ if isinstance(license_, str) else license_.key
        return api.post(f"/licenses/{name}", {"key": key, "fingerprint": fingerprint, **values})

    return call
