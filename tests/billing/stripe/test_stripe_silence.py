"""A Stripe that takes calls and does not answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from devforge_api.billing.errors import ProviderUnavailable
from devforge_api.billing.service.providers import stripe_client
from devforge_api.billing.service.providers.stripe_client import StripeApi


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def callers(server: socket.socket) -> int:
    """How many have called since the last time."""
    count = 0
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return count
        connection.close()
        count += 1


def test_after_a_time_out_nobody_waits_for_a_while(silent, monkeypatch):
    monkeypatch.setattr(stripe_client, "READ_SECONDS", 0.1)
    monkeypatch.setattr(stripe_client, "RETRIES", 0)
    api = StripeApi("sk_test_of_nobody", api_base=f"http://127.0.0.1:{silent.getsockname()[1]}")

    def ask() -> None:
        with pytest.raises(ProviderUnavailable), api.calling():
            api.v1.customers.retrieve("cus_1")

    ask()
    assert callers(silent) >= 1
    ask()
    assert callers(silent) == 0
    monkeypatch.setattr(api._http, "silent_until", 0.0)
    ask()
    assert callers(silent) >= 1
