"""How Stripe is called: with time-outs, a limit for everything together, and refusals in our words."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import stripe

from devforge_api.billing.errors import ProviderRefused, ProviderUnavailable
from devforge_api.core.errors import DomainError

log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 3.0, 8.0  # of one request
# Of one thing that billing asks for, however many requests it takes. A subscriber of the outbox has
# half of its lease, thirty seconds.
TOGETHER_SECONDS = 24.0
# After a time-out nobody waits again for so long: events are acted upon one after the other, and each
# would take all of its time while letters wait behind it.
PAUSE_SECONDS = 10.0
RETRIES = 1
RETRY_AFTER, MISCONFIGURED_RETRY_AFTER, LONGEST_RETRY_AFTER = 5, 60, 300  # seconds


class _Http(stripe.HTTPClient):
    """Requests, each with what is left of the time."""

    name = "requests"

    def __init__(self) -> None:
        super().__init__()
        self._kept = threading.local()
        self.silent_until = 0.0

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what this thread asks for in the block take no longer than that together."""
        self._kept.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self._kept.deadline = None

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> Any:
        """One request; the library repeats it where that may help."""
        deadline = getattr(self._kept, "deadline", None)
        left = READ_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise _unreached("There was no time left.")
        try:
            answer = self._session().request(
                method,
                url,
                headers=dict(headers or {}),
                data=post_data,
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            if isinstance(error, requests.Timeout):
                self.silent_until = time.monotonic() + PAUSE_SECONDS
            passes = isinstance(error, requests.ConnectionError | requests.Timeout)
            raise _unreached(type(error).__name__, should_retry=passes) from error
        return answer.content, answer.status_code, answer.headers

    def close(self) -> None:
        """End the connections of this thread."""
        self._session().close()

    def _session(self) -> requests.Session:
        found: requests.Session | None = getattr(self._kept, "session", None)
        if found is None:
            found = self._kept.session = requests.Session()
        return found


class StripeApi:
    """Stripe's API, to be used in a block of `calling`."""

    def __init__(self, secret_key: str, *, api_base: str | None) -> None:
        # Both are the library's for the whole process: it would tell Stripe of this machine, and log
        # the address of every request, at DEBUG with who pays.
        stripe.enable_telemetry = False
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._secret_key = secret_key
        self._http = _Http()
        client = stripe.StripeClient(
            secret_key,
            http_client=self._http,
            max_network_retries=RETRIES,
            base_addresses={"api": api_base.rstrip("/")} if api_base else None,
        )
        self.v1 = client.v1

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Put what goes wrong into our words.

        :raises ProviderUnavailable: no answer, or none that helps. :raises ProviderRefused: a clear no.
        """
        if time.monotonic() < self._http.silent_until:
            raise ProviderUnavailable(RETRY_AFTER)
        with self._http.within(TOGETHER_SECONDS):
            try:
                yield
            except (stripe.AuthenticationError, stripe.PermissionError) as error:
                log.error("Stripe does not accept DEVFORGE_STRIPE_SECRET_KEY: %s", type(error).__name__)
                # Its words may show the key.
                raise ProviderUnavailable(MISCONFIGURED_RETRY_AFTER) from None
            except stripe.StripeError as error:
                raise self._told(error) from error

    def _told(self, error: stripe.StripeError) -> DomainError:
        clear = stripe.CardError | stripe.InvalidRequestError | stripe.IdempotencyError
        if isinstance(error, clear):
            return ProviderRefused(self._words(error))
        return ProviderUnavailable(_retry_after(error.headers or {}))

    def _words(self, error: stripe.StripeError) -> str | None:
        words = error.user_message
        return words.replace(self._secret_key, "…") if words else None


def _unreached(why: str, *, should_retry: bool = False) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(why, should_retry=should_retry)  # type: ignore[no-untyped-call]


def _retry_after(headers: Mapping[str, str]) -> int:
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    if not value.isascii() or not value.isdigit():
        return RETRY_AFTER
    return min(int(value[:9]), LONGEST_RETRY_AFTER)
