"""New keys for old: the former one goes on opening its licence for a while, as announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update

from devforge_api.auth.service import notices
from devforge_api.core.db import affected, db
from devforge_api.licenses.models import License, RetiredKey
from devforge_api.licenses.service.keys import hash_key, make_key, seal_key
from devforge_api.licenses.service.lifecycle import with_plan
from devforge_api.licenses.service.record import Cause, tell
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


def replace_key(license_: License, *, now: datetime, until: datetime | None, cause: Cause | None) -> None:
    """Change a locked licence's key.

    :param until: how long the former one still opens it; None: none does from now on.
    """
    mine = RetiredKey.license_id == license_.id
    former = license_.key_hash
    key = make_key(license_.policy, license_.id, now=now, expires_at=license_.expires_at)
    if until is None:
        db.session.execute(delete(RetiredKey).where(mine))
    else:
        longer = update(RetiredKey).where(mine, RetiredKey.valid_until > until)
        db.session.execute(longer.values(valid_until=until))
        db.session.add(RetiredKey(key_hash=former, license_id=license_.id, valid_until=until))
    license_.key_hash, license_.encrypted_key = hash_key(key), seal_key(key)
    db.session.flush()
    changes = {"key_hash": (former, license_.key_hash), "former_key_valid_until": (None, until)}
    tell("key_rotated", license_.id, changes, cause=cause)


def write_to(user_id: UUID | None, letter: str, license_: License, **params: str | None) -> None:
    """Tell somebody of a licence, by the names of its product and plan: no letter holds a key."""
    if user_id is not None:
        product, tier = license_.policy.product.name, license_.policy.name
        notices.tell(user_id, letter, even_unverified=False, product=product, tier=tier, **params)


def in_words(at: datetime) -> str:
    """A moment for a letter, in every language."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def purge_retired(now: datetime) -> int:
    """Forget replaced keys whose time is over. Returns how many."""
    return affected(delete(RetiredKey).where(RetiredKey.valid_until <= now))
