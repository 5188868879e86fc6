"""What is done about licences while nobody asks."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.flushing import flushed
from devforge_api.core.jobs import scheduled
from devforge_api.licenses.service import expiry, heartbeats, last_seen, rotation, usage


@flushed
def write_validations() -> None:
    """Write when licences were validated."""
    while True:
        with last_seen.batch() as noted:
            if noted:
                with unit_of_work():
                    last_seen.write(noted)
        if len(noted) < last_seen.BATCH:
            return


@scheduled("licenses.machines.cull", every=timedelta(seconds=30))
def cull_machines() -> None:
    """Tell of machines whose heartbeat stopped, and free the seats of those that may not come back."""
    heartbeats.cull(utc_now())


@scheduled("licenses.expiry", every=timedelta(minutes=1))
def tell_expired() -> None:
    """Tell of expiries that have passed, a batch at a time."""
    expiry.tell_expired(utc_now())


@scheduled("licenses.retired_keys.purge", every=timedelta(hours=6))
def purge_retired_keys() -> None:
    """Forget replaced keys whose time is over."""
    rotation.purge_retired(utc_now())


@scheduled("licenses.usage_requests.purge", every=timedelta(hours=1))
def purge_usage_requests() -> None:
    """Forget after a day which requests were counted."""
    usage.purge_requests(utc_now())
