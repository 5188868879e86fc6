"""What the processes of one server have in common: their end, their memory, their metrics."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from typing import Any

from devforge_api.ops.draining import stop_in_order

# mallopt(3): parameters of glibc's allocator.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
# For glibc as well, which reads it when a program starts: large blocks come as huge pages.
MALLOC_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def give_memory_back() -> None:
    """Let glibc return large blocks to the system, and share its heaps among the threads.

    By default every thread has a heap of its own, and the server has more than a hundred threads.
    Hashing walks at random through 19 MiB, which takes longer in pages of 4 KiB, hence
    `MALLOC_ENVIRONMENT`. Does nothing with other C libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024)
        mallopt(M_ARENA_MAX, 2)


def end_with_parent() -> None:
    """End this process in order when the main process says so, and at once when that is gone.

    A main process that is killed cannot stop its workers: without this they would go on
    answering, and keep the port from the server that is started in its place. Does nothing in a
    process that ``multiprocessing`` has not started; gunicorn's workers look after themselves.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        stop_in_order()
        threading.Thread(target=_follow, args=(parent,), name="devforge-parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # at once: transactions are whole or not there


def metrics_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """What several web processes need to add their metrics up: a folder, emptied for this start."""
    if settings["WEB_WORKERS"] == 1:
        return {}
    folder = settings["DATA_DIR"] / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink()
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
