"""New keys for old: the former one goes on opening its licence for a while, as announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete

from devforge_api.auth.service import notices
from devforge_api.core.db import affected
from devforge_api.licenses.models import License, RetiredKey
from devforge_api.licenses.service.lifecycle import replace_key, with_plan
from devforge_api.licenses.service.record import Cause
from devforge_api.licenses.service.transitions import insist_on_life


def rotate(license_: License, *, now: datetime, overlap: timedelta, cause: Cause | None = None) -> License:
    """Give a locked licence a new key, and tell its owner by mail that it has one.

    No former key outlives the one that is replaced now: after a leak an overlap of zero ends all.

    :param overlap: for how long the replaced key still opens the licence.
    :raises LicenseAlreadyRevoked: it has ended.
    """
    insist_on_life(license_, or_pending=True)
    until = now + overlap if overlap else None
    replace_key(license_, now=now, until=until, cause=cause)
    write_to(license_.user_id, "license_key_rotated", license_, until=in_words(until) if until else None)
    return with_plan(license_)


def write_to(user_id: UUID | None, letter: str, license_: License, **params: str | None) -> None:
    """Tell somebody of a licence, by the names of its product and plan."""
    if user_id is not None:
        product, tier = license_.policy.product.name, license_.policy.name
        notices.tell(user_id, letter, even_unverified=False, product=product, tier=tier, **params)


def in_words(at: datetime) -> str:
    """A moment for a letter, in every language."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def purge_retired(now: datetime) -> int:
    """Forget replaced keys whose time is over. Returns how many."""
    return affected(delete(RetiredKey).where(RetiredKey.valid_until <= now))
