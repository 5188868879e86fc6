"""Users whose push service has kept us waiting: they wait for a while, instead of everybody else.

A push service is one of a user's choosing, and the threads for strangers' addresses are few. It is one
user's browsers that rest together: of twenty slow ones, each would else have a thread for itself. Each
process finds out by itself; nothing is lost when it forgets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

SLOW = timedelta(seconds=3)  # push services answer in tenths of a second
FIRST, LONGEST = timedelta(seconds=30), timedelta(hours=1)
REMEMBERED = 10_000  # users

_guard = threading.Lock()
# Until when, and for how long that was; whoever was slow last stands last.
_resting: OrderedDict[UUID, tuple[datetime, timedelta]] = OrderedDict()


def until(user_id: UUID, now: datetime) -> datetime | None:
    """When a user's browsers may be called again; None: now."""
    with _guard:
        found = _resting.get(user_id)
    return found[0] if found is not None and found[0] > now else None


def note(user_id: UUID, took: timedelta, now: datetime) -> None:
    """How long a call has taken: a slow one makes the user rest, longer each time.

    That is forgotten after `LONGEST` without a slow one: other browsers of theirs may well be quick.
    """
    if took < SLOW:
        return
    with _guard:
        before = _resting.pop(user_id, None)
        if before is not None and now - before[0] >= LONGEST:
            before = None
        pause = FIRST if before is None else min(before[1] * 4, LONGEST)
        _resting[user_id] = (now + pause, pause)
        if len(_resting) > REMEMBERED:
            _resting.popitem(last=False)


def forget_all() -> None:
    """As a new process knows it."""
    with _guard:
        _resting.clear()
