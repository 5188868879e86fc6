"""The library's windows in one process, counted by many threads at once."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import RateLimitItemPerYear
from limits.strategies import SlidingWindowCounterRateLimiter

from devforge_api.core.windows import LocalWindows


@pytest.fixture
def restless():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_many_threads_count_every_request_and_none_is_told_of_a_timer():
    windows, budget = SlidingWindowCounterRateLimiter(LocalWindows()), RateLimitItemPerYear(100_000)

    def ask(_):
        admitted = windows.hit(budget, "somebody")
        time.sleep(0.011)  # the library's timer is over, and the next request starts another one
        return admitted

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(3000)))
    assert windows.get_window_stats(budget, "somebody").remaining == 97_000
    windows.clear(budget, "somebody")
    assert windows.get_window_stats(budget, "somebody").remaining == 100_000
