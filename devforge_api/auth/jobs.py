"""What auth does on the schedule."""

from datetime import timedelta

from devforge_api.auth.service import device_grants, one_time, personal_tokens, sessions
from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled


@scheduled("auth.sessions.purge", every=timedelta(hours=6))
def purge_sessions() -> None:
    """Forget sessions that ended a month ago."""
    sessions.purge_ended(utc_now())


@scheduled("auth.tokens.purge", every=timedelta(hours=6))
def purge_access_tokens() -> None:
    """Forget personal access tokens that ended three months ago."""
    personal_tokens.purge_ended(utc_now())


@scheduled("auth.one_time_tokens.purge", every=timedelta(hours=6))
def purge_one_time_tokens() -> None:
    """Forget one-time tokens that expired a day ago."""
    one_time.purge_expired(utc_now())


@scheduled("auth.device_grants.purge", every=timedelta(hours=6))
def purge_device_grants() -> None:
    """Forget devices whose codes expired a day ago."""
    device_grants.purge_expired(utc_now())
