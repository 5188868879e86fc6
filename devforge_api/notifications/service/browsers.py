"""The browsers that take push messages: each stands here once, for whoever uses it now."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID

from sqlalchemy import func, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, insert_into, uuid7
from devforge_api.core.encryption import encrypt
from devforge_api.notifications import queries
from devforge_api.notifications.errors import TooManyPushSubscriptions
from devforge_api.notifications.models import PushSubscription
from devforge_api.users import service as users

MOST = 20  # of one user


def register(
    user_id: UUID, *, endpoint: str, p256dh: str, auth: str, user_agent: str | None
) -> PushSubscription:
    """Note a browser, or note it anew; one that another user has used is this user's from now on.

    :param endpoint: an address that `outbound.check_url` has let pass.
    :param p256dh: the browser's public key. :param auth: its secret. Both in base64url.
    :raises TooManyPushSubscriptions: there are `MOST` others already.
    """
    users.get_user(user_id, for_update=True)  # so that the count stays true
    hashed = endpoint_hash(endpoint)
    others = select(func.count()).where(
        PushSubscription.user_id == user_id, PushSubscription.endpoint_hash != hashed
    )
    if (db.session.scalar(others) or 0) >= MOST:
        raise TooManyPushSubscriptions(None, limit=MOST)
    now = utc_now()
    values = {
        "user_id": user_id,
        "endpoint": encrypt(endpoint),
        "keys": encrypt(json.dumps({"p256dh": p256dh, "auth": auth})),
        "user_agent": user_agent,
        "updated_at": now,
    }
    row = insert_into(PushSubscription).values(id=uuid7(), endpoint_hash=hashed, created_at=now, **values)
    row = row.on_conflict_do_update(index_elements=[PushSubscription.endpoint_hash], set_=values)
    subscription_id = db.session.execute(row.returning(PushSubscription.id)).scalar_one()
    return queries.get_push_subscription(subscription_id, user_id=user_id)


def remove(subscription: PushSubscription) -> None:
    """Send nothing there any more. :param subscription: locked in this transaction."""
    db.session.delete(subscription)
    db.session.flush()


def endpoint_hash(endpoint: str) -> str:
    """What an endpoint is found by, as it is kept encrypted: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(endpoint.encode()).hexdigest()
