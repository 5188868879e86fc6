"""When a failed delivery is tried again, and how long a slow endpoint is left alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# After the first attempt, the second, … (Standard Webhooks 1.0.0, "Deliverability and reliability").
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.1  # either way, so that what failed together does not come back together
LONGEST_WAIT = timedelta(hours=24)  # that an endpoint can ask for
# An endpoint that takes longer, whatever it answers, is on trial until it is quick again: two that
# say yes just before the time is over would otherwise hold all threads as long as they please.
SLOW_MS = 5000
FIRST_REST, LONGEST_REST = timedelta(minutes=1), timedelta(hours=1)


def delay_after(attempts: int, asked: timedelta | None) -> timedelta | None:
    """How long to wait after so many failed attempts; None: that was the last one.

    :param asked: for how long the endpoint has asked not to be called.
    """
    if attempts > len(DELAYS):
        return None
    delay: timedelta = DELAYS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return max(delay, min(asked, LONGEST_WAIT)) if asked else delay


def rest_after(timeouts: int) -> timedelta:
    """How long an endpoint is left alone after so many time-outs, one after the other."""
    doubled: int = 2 ** min(timeouts - 1, 10)
    return min(FIRST_REST * doubled, LONGEST_REST)


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """What ``Retry-After`` asks for: seconds, or a moment (RFC 9110 section 10.2.3); None: nothing."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_WAIT.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year, an hour or a zone of twenty digits
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment - now if moment > now else None
