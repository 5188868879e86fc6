"""How much of something that may take long is on its way at once, in this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable


class Places:
    """So many places for all, and so many of them for each: whoever gets none is to come again."""

    def __init__(self) -> None:
        self._each: Counter[Hashable] = Counter()
        self._guard = threading.Lock()

    def take(self, whose: Hashable, *, at_once: int, each: int) -> bool:
        """Take a place if one is free; whoever has got it gives it back once."""
        with self._guard:
            if self._each.total() >= at_once or self._each[whose] >= each:
                return False
            self._each[whose] += 1
            return True

    def give(self, whose: Hashable) -> None:
        """Leave a place."""
        with self._guard:
            self._each[whose] -= 1
            if not self._each[whose]:
                del self._each[whose]

    def taken(self) -> int:
        """How many are taken."""
        with self._guard:
            return self._each.total()
