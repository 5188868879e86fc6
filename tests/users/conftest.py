"""What the tests of accounts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from devforge_api.app import create_app
from devforge_api.core.db import db
from tests.factories import Api, Person
from tests.users.known import make_ada


@pytest.fixture
def make_limited(app: Flask, environ: dict[str, str]) -> Iterator[Callable[..., Api]]:
    """One more process of this column, under other settings."""
    others: list[Flask] = []

    def make(**overrides: Any) -> Api:
        others.append(create_app(environ, **overrides))
        return Api(others[-1])

    yield make
    for other in others:
        with other.app_context():
            db.engine.dispose()


@pytest.fixture
def ada(app: Flask, api: Api) -> Person:
    """Somebody of whom every table knows something."""
    made: Person = make_ada(app, api)
    return made
