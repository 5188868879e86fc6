"""What licences do on the schedule."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.licenses.service import heartbeats


@scheduled("licenses.machines.cull", every=timedelta(seconds=30))
def cull_machines() -> None:
    """Tell of machines whose heartbeat stopped, and free the seats of those that may not come back."""
    heartbeats.cull(utc_now())
