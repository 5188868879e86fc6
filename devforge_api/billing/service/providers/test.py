"""The built-in provider: pages of this server on which nothing is paid."""

from __future__ import annotations


class TestProvider:
    """Takes no money."""

    __test__ = False  # no test, though its name begins so
    name = "test"

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url
