"""What licences do on the schedule."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.licenses.service import expiry, rotation, usage


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
