"""What wakes the hub: Redis, and the clock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from devforge_api.core.realtime.listening import listen_for_ever
from devforge_api.notifications.service.hub import Hub

# How often feeds are looked at: where nobody tells of news, and where only a word might get lost.
ALONE_SECONDS, BESIDE_REDIS_SECONDS = 1.0, 15.0
CHECK_SECONDS = 10.0  # after which whoever is admitted no longer is gone
TICK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Watch:
    """Two threads beside the windows' own.

    :param redis_url: None: feeds are looked at every second.
    """

    def __init__(self, hub: Hub, redis_url: str | None) -> None:
        self._hub = hub
        self._redis_url = redis_url
        self._hears = False
        self._rounds: list[tuple[Callable[[], float], Callable[[], None]]] = [
            (lambda: BESIDE_REDIS_SECONDS if self._hears else ALONE_SECONDS, hub.look),
            (lambda: CHECK_SECONDS, hub.check),
            (lambda: ALONE_SECONDS, hub.tell_status),
            (lambda: ALONE_SECONDS, hub.end_old),
        ]

    def start(self) -> None:
        """Begin; both end with the process."""
        threading.Thread(target=self._keep_time, name="realtime-clock", daemon=True).start()
        if self._redis_url:
            threading.Thread(target=self._listen, name="realtime-ear", daemon=True).start()

    def _keep_time(self) -> None:
        last = [time.monotonic()] * len(self._rounds)
        while True:
            for place, (every, run) in enumerate(self._rounds):
                if time.monotonic() - last[place] < every():
                    continue
                last[place] = time.monotonic()
                try:
                    run()
                except Exception:
                    log.exception("a round of the realtime process failed and is repeated")
            time.sleep(TICK_SECONDS)

    def _listen(self) -> None:
        assert self._redis_url is not None
        listen_for_ever(self._redis_url, joined=self._join, lost=self._lose, hear=self._hub.hear)

    def _join(self) -> None:
        self._hears = True
        self._hub.look_at_all()

    def _lose(self) -> None:
        self._hears = False
