"""What the tests of billing share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from devforge_api.billing.models import Interval
from tests.billing.stub import StubProvider
from tests.billing.world import World
from tests.factories import Api
from tests.factories.billing import Books


@pytest.fixture
def books(api: Api) -> Books:
    """Orders and money as rows: see tests/factories/billing.py."""
    return Books(api)


@pytest.fixture
def world(api: Api) -> World:
    """An order that is paid once."""
    return World(api)


@pytest.fixture
def monthly(api: Api) -> World:
    """An order that is paid every month."""
    return World(api, interval=Interval.MONTH)


@pytest.fixture
def provider(app: Flask) -> Iterator[StubProvider]:
    """A provider whose books the test writes, in place of the built-in one."""
    providers = app.extensions["devforge-payment-providers"]
    kept, stub = dict(providers), StubProvider()
    providers["test"] = stub
    yield stub
    providers.clear()
    providers.update(kept)
