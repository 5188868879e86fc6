"""What can be read about applications that wait to be let in."""

from __future__ import annotations

from sqlalchemy import select

from devforge_api.auth.models import (
    DeviceGrant,
    GrantStatus,
    OneTimeToken,
    Purpose,
)
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db


def find_authorization_code(code_hash: str) -> OneTimeToken | None:
    """An authorization code as it was issued, used up or not."""
    return db.session.scalar(
        select(OneTimeToken).where(
            OneTimeToken.token_hash == code_hash, OneTimeToken.purpose == Purpose.AUTHORIZATION_CODE
        )
    )


def find_device_grant(device_code_hash: str) -> DeviceGrant | None:
    """The grant that a device asks about."""
    return db.session.scalar(select(DeviceGrant).where(DeviceGrant.device_code_hash == device_code_hash))


def find_pending_grant(user_code: str) -> DeviceGrant | None:
    """The grant that waits for this code to be typed."""
    return db.session.scalar(
        select(DeviceGrant).where(
            DeviceGrant.user_code == user_code,
            DeviceGrant.status == GrantStatus.PENDING,
            DeviceGrant.expires_at > utc_now(),
        )
    )
