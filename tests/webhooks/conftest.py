from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from devforge_api.core import news
from devforge_api.webhooks.service import telling, waiting
from tests.factories import Api
from tests.receiver import Receiver, receiver

NAMES = ("license.issued", "license.renewed", "license.revoked", "order.paid")


@pytest.fixture
def local(make_api: Any, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The application, allowed to call this machine, and in no hurry."""
    found: Api = make_api(
        DEVFORGE_LOCAL_DESTINATIONS="loopback",
        OUTBOX_LEASE=timedelta(seconds=60),
        OUTBOUND_SECONDS=10.0,
    )
    # Once the application has connected tellers and listeners: these are only known by name.
    for name in set(NAMES) - set(news.told()):
        monkeypatch.setitem(news._tellers, name, lambda payload: None)
    # What goes on after a pause goes on at once.
    monkeypatch.setattr(telling, "PACE", timedelta(0))
    monkeypatch.setattr(waiting, "PACE", timedelta(0))
    return found


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], None]:
    """Poll for a condition; a test that waits in vain fails."""

    def wait(condition: Callable[[], Any]) -> None:
        over = threading.Event()
        assert any(condition() or over.wait(0.02) for _ in range(3000)), "the condition was not met"

    return wait


@pytest.fixture
def peer() -> Iterator[Receiver]:
    """A real receiver."""
    with receiver() as found:
        yield found
