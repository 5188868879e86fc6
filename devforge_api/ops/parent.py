"""What ties a worker process to the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def end_with_parent() -> None:
    """End this process as soon as the main process is gone, however it went.

    A main process that is killed cannot stop its workers: without this they would go on
    answering, and keep the port from the server that is started in its place. Does nothing in a
    process that ``multiprocessing`` has not started; gunicorn's workers look after themselves.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="devforge-parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # at once: transactions are whole or not there
