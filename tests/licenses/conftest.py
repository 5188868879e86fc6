"""What the tests of licences share: a verdict in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
