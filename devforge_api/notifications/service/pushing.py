"""Push messages on their way to browsers (RFC 8030), encrypted for them alone (RFC 8291).

The endpoint is an address that a user has given: it is called by `core.outbound` only, which follows
no redirect, looks at where the name leads each time, and ends in time.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import requests
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from sqlalchemy import delete

from devforge_api.core import outbound
from devforge_api.core.clock import utc_now
from devforge_api.core.configured import public_url, sender_address
from devforge_api.core.db import db, release_connection, unedited
from devforge_api.core.encryption import decrypt
from devforge_api.core.outbox import emit_at
from devforge_api.notifications import catalogue, queries
from devforge_api.notifications.models import Notification, PushSubscription
from devforge_api.notifications.service import push_keys, resting

TTL = timedelta(days=1)  # for so long a push service keeps it for a browser that is off
PAYLOAD = 3000  # bytes; what is encrypted must stay below 4096 (RFC 8291 section 4)
TAKEN = {200, 201, 202, 204}
GONE = {404, 410}
LATER = {429, 503}
TRIED_FOR = timedelta(hours=4)  # shorter than the outbox would try
CALL_SECONDS = 5.0  # push services answer at once; who does not holds one of few threads
LONGEST_PAUSE = timedelta(hours=1)
log = logging.getLogger(__name__)


class PushFailed(Exception):
    """The push service did not take the message this time; the message says why, but not its address."""


def push(notification_id: UUID, subscription_id: UUID) -> Callable[[], object] | None:
    """Send a message, unless it has been read meanwhile, or is of yesterday.

    A push service is one of a user's choosing: what it refuses for good, or does not take for hours, is
    logged and dropped, so that nobody fills the operator's list of what has failed.

    :returns: what is to be written once it is sent, or once it is known that it cannot be.
    :raises PushFailed: try again.
    """
    due = queries.push_due(notification_id, subscription_id)
    if due is None or due.notification.read_at or due.notification.created_at < utc_now() - TTL:
        return None
    user_id = due.notification.user_id
    if (rested := resting.until(user_id, utc_now())) is not None:
        return _at(rested, due.notification, subscription_id)
    key = push_keys.find()
    if key is None:  # subscriptions are made for it
        return None
    endpoint = decrypt(due.subscription.endpoint)
    browser = {"endpoint": endpoint, "keys": json.loads(decrypt(due.subscription.keys))}
    message = payload(due.notification, due.locale)
    release_connection()
    begun = time.monotonic()
    answer = _send(browser, message, key, topic=notification_id.hex)
    resting.note(user_id, timedelta(seconds=time.monotonic() - begun), utc_now())
    if answer.status in GONE:
        return partial(_forget, subscription_id)
    if answer.status in TAKEN:
        return partial(_note_delivered, subscription_id)
    host = urlsplit(endpoint).hostname
    return _not_taken(answer, f"{host}: {answer.status or answer.trouble}", due.notification, subscription_id)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a push service said; without a status, why it said nothing."""

    status: int | None
    retry_after: str | None = None
    trouble: str | None = None


def _send(browser: dict[str, Any], message: str, key: EllipticCurvePrivateKey, *, topic: str) -> _Answer:
    # Here, as they bring another HTTP client with them, which every command would wait for.
    from py_vapid import Vapid02  # noqa: PLC0415
    from pywebpush import WebPushException, webpush  # noqa: PLC0415

    try:
        webpush(
            browser,
            data=message,
            vapid_private_key=Vapid02(private_key=key),
            vapid_claims={"sub": contact()},
            ttl=int(TTL.total_seconds()),
            # The topic lets a push service replace an earlier attempt by a repeated one (RFC 8030 5.4).
            headers={"Topic": topic, "Urgency": "normal"},
            requests_session=outbound.session(CALL_SECONDS),
        )
    except requests.RequestException as error:
        # Not the error itself: its words could hold the address, which nobody but us may know.
        return _Answer(None, trouble=type(error).__name__)
    except WebPushException as error:
        return _Answer(error.status_code, error.retry_after, trouble="the message cannot be encrypted")
    return _Answer(201)


def _not_taken(
    answer: _Answer, told: str, notification: Notification, subscription_id: UUID
) -> Callable[[], object] | None:
    now = utc_now()
    age = now - notification.created_at
    again = retry_at(answer.retry_after, now) if answer.status in LATER else None
    if again is not None:
        # No sooner than in as long as it has been tried already: who always wants it again in a
        # second is asked a dozen times, and not all day.
        again = max(again, now + min(age, LONGEST_PAUSE))
        if again < notification.created_at + TTL:
            return _at(again, notification, subscription_id)
    refused = answer.status is not None and 300 <= answer.status < 500 and answer.status not in LATER
    if refused or again is not None or age > TRIED_FOR:
        log.warning("a push message was dropped", extra={"why": told})
        return None
    raise PushFailed(told)


def _at(when: datetime, notification: Notification, subscription_id: UUID) -> Callable[[], object]:
    """Have it tried at a moment; no attempt of the outbox is counted."""
    ids = {"notification_id": str(notification.id), "subscription_id": str(subscription_id)}
    return partial(emit_at, when, "notification.push_due", **ids)


def retry_at(header: str | None, now: datetime) -> datetime | None:
    """When a peer wants to be asked again (RFC 9110 section 10.2.3); None where it does not say."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), TTL + TTL)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year, an hour or a zone of twenty digits
        return None
    return max(at, now) if at.tzinfo is not None else None


def payload(notification: Notification, locale: str | None) -> str:
    """What the browser's service worker gets, as JSON; a body that is too long is cut."""
    words, link = catalogue.words_of(notification, locale), catalogue.link_of(notification)
    told: dict[str, Any] = {
        "id": str(notification.id),
        "title": words.title,
        "body": words.body,
        "kind": notification.kind.value,
        "link": {"type": link.type, "id": link.id} if link else None,
    }
    for name in ("body", "title"):
        surplus = len(_json(told).encode()) - PAYLOAD
        if surplus > 0:
            told[name] = told[name].encode()[: -surplus - 3].decode(errors="ignore") + "…"
    return _json(told)


def contact() -> str:
    """Whom a push service writes to if our messages trouble it (RFC 8292 section 2.1)."""
    address, site = sender_address(), urlsplit(public_url())
    if address.endswith("@localhost") and site.scheme == "https":
        return f"https://{site.hostname}"
    return f"mailto:{address}"


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False)


def _note_delivered(subscription_id: UUID) -> None:
    which = PushSubscription.id == subscription_id
    db.session.execute(unedited(PushSubscription, which, last_delivered_at=utc_now()))


def _forget(subscription_id: UUID) -> None:
    db.session.execute(delete(PushSubscription).where(PushSubscription.id == subscription_id))
