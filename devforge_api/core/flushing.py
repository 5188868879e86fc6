"""What web processes note in memory and write later, many things at once.

Every web process has a thread for that. What is noted is of little worth: what a process that is
killed has not written yet is lost, and nobody waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize

from flask import Flask

from devforge_api.core.context import Occasion, acting
from devforge_api.core.maintenance import Maintenance

FLUSH_SECONDS = 5.0
# A flush that is asked for comes at once, but no more often than this.
LEAST_SECONDS = 0.5

log = logging.getLogger(__name__)
_flushes: list[Callable[[], object]] = []
_asked = threading.Event()


def flushed(run: Callable[[], object]) -> Callable[[], object]:
    """Call this every few seconds in every web process, and when one ends; it keeps what it cannot write."""
    _flushes.append(run)
    return run


def flush_soon() -> None:
    """There is much to write: do not wait until it is time."""
    _asked.set()


def flush(app: Flask) -> None:
    """Let everybody write what was noted; in maintenance, and while the database is away, nobody."""
    for run in _flushes:
        try:
            occasion = Occasion(kind="job", request_id=f"flush-{run.__name__}")
            with app.app_context(), acting(occasion), suppress(Maintenance):
                run()
        except Exception:
            log.exception("what was noted could not be written yet")


def start_flushing(app: Flask) -> None:
    """Begin, in a web process; called by servers, never by the CLI."""
    # Not by atexit: a process that multiprocessing has started, as granian's are, ends without it.
    Finalize(None, flush, args=(app,), exitpriority=1)
    threading.Thread(target=_loop, args=(app,), name="devforge-flush", daemon=True).start()


def _loop(app: Flask) -> None:
    while True:
        _asked.wait(FLUSH_SECONDS)
        _asked.clear()
        flush(app)
        time.sleep(LEAST_SECONDS)
