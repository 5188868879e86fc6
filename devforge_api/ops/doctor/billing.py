"""Can something be bought, and do the providers' news come in?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flask import current_app

from devforge_api.billing.service.watch import LONG, watch
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.ops.doctor.report import Finding, Health


def billing() -> Iterator[Finding]:
    """A provider is configured, what it tells is acted upon, and what it is asked for is done."""
    warn = partial(Finding, "billing", Health.WARNING)
    present: str = current_app.config["BILLING_PROVIDER"]
    known = sorted(current_app.extensions["devforge-payment-providers"])
    seen = watch(utc_now())
    if present == "none":
        others = f"; old orders are with {', '.join(known)}" if known else ""
        yield Finding("billing", Health.OK, f"nothing can be bought: no provider takes new orders{others}")
    else:
        heard = rfc3339(seen.last_event_at) if seen.last_event_at else "never"
        yield Finding("billing", Health.OK, f"paid with {present}, which was heard of last: {heard}")
    if present == "stripe" and seen.last_event_at is None:
        yield warn(
            "Stripe has told nothing yet",
            "check the webhook in its dashboard: see docs/billing.md; `flask billing reconcile` asks",
        )
    minutes = LONG.seconds // 60
    if seen.events_waiting:
        yield warn(
            f"{seen.events_waiting} events wait for more than {minutes} minutes",
            "`flask outbox list` says why; then `flask billing reconcile`",
        )
    if seen.refunds_waiting:
        yield warn(
            f"{seen.refunds_waiting} refunds were asked for more than {minutes} minutes ago and not made",
            "`flask outbox list` says why; then `flask outbox replay --all`",
        )
