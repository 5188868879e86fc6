"""What the tests of licences share: a verdict in one call, and rows in the state that it is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import License, Machine, MachineComponent, Policy
from devforge_api.licenses.routes import client, seats
from devforge_api.licenses.schemas import machines
from tests.factories import Api, Issued

TABLES = {"license": License, "policy": Policy, "machine": Machine}


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


@pytest.fixture
def edit(api: Api) -> Callable[..., None]:
    """Set columns of a licence, a policy or a machine, as whatever brings that state about would."""

    def write(table: str, row_id: UUID | str, **values: Any) -> None:
        with api.app.app_context(), unit_of_work():
            row = db.session.get(TABLES[table], UUID(str(row_id)))
            assert row is not None
            for name, value in values.items():
                assert hasattr(row, name)
                setattr(row, name, value)

    return write


@pytest.fixture
def seat(api: Api, activate: Callable[..., Any], edit: Callable[..., None]) -> Callable[..., UUID]:
    """Give a machine a seat; further values are its columns, ``components`` its parts."""

    def take(license_: Issued, fingerprint: str, *, components: tuple[str, ...] = (), **values: Any) -> UUID:
        machine_id = UUID(activate(license_, fingerprint).get_json()["data"]["id"])
        if values:
            edit("machine", machine_id, **values)
        with api.app.app_context(), unit_of_work():
            db.session.add_all(
                MachineComponent(machine_id=machine_id, fingerprint=part, name=part) for part in components
            )
        return machine_id

    return take


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
