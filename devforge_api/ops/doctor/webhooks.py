"""Do users' programs hear of the news?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from flask import current_app

from devforge_api.core.clock import utc_now
from devforge_api.ops.doctor.report import Finding, Health
from devforge_api.webhooks.service.looking import overview

LONG = timedelta(days=1)


def webhooks() -> Iterator[Finding]:
    """Some endpoints always fail, as they are others'; where most do, the fault may be ours."""
    seen = overview(utc_now(), failing_for=LONG)
    told = f"{seen.enabled} endpoints, {seen.waiting} deliveries under way"
    yield Finding("webhooks", Health.OK, told)
    if seen.failing:
        yield Finding(
            "webhooks",
            Health.WARNING,
            f"{seen.failing} of {seen.enabled} endpoints have failed for more than a day",
            "`flask webhooks list --failing` names them; if most do, look at this server's way out",
        )
    if current_app.config["LOCAL_DESTINATIONS"] != "refused":
        yield Finding(
            "webhooks",
            Health.WARNING,
            "users may have this machine's own services called",
            "unset DEVFORGE_LOCAL_DESTINATIONS where strangers can sign up",
        )
