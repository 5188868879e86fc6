from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devforge_api.core.storage.configured import storage
from tests.factories import Api


@pytest.fixture
def lone(make_api: Callable[..., Api], tmp_path: Path) -> Callable[..., Api]:
    """An application on this column's database whose contents are its own; further settings by name."""

    def make(**settings: object) -> Api:
        return make_api(DEVFORGE_DATA_DIR=str(tmp_path / "data"), **settings)

    return make


@pytest.fixture
def kept() -> Callable[[Api], list[str]]:
    """The keys of all contents that an application's storage holds."""

    def keys(api: Api) -> list[str]:
        with api.app.app_context():
            return [one.key for one in storage().kept()]

    return keys


@pytest.fixture
def person(api: Api) -> Iterator[object]:
    return api.person()
