"""Devices without a browser: a code on their screen is approved in somebody's browser (RFC 8628).

A grant moves by conditional updates only: of two approvals one counts, of two polls at once one
gets the tokens.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import IntegrityError

from devforge_api.audit import service as audit
from devforge_api.auth import queries
from devforge_api.auth.errors import AccountDisabled, DeviceCodeInvalid, SessionNotFound
from devforge_api.auth.models import DeviceGrant, GrantStatus
from devforge_api.auth.queries import BrowserSession
from devforge_api.auth.service import browser_sessions
from devforge_api.auth.service.client_admission import admit_client
from devforge_api.auth.service.clients import Client
from devforge_api.auth.service.sessions import Tokens
from devforge_api.core.clock import utc_now
from devforge_api.core.context import occasion
from devforge_api.core.db import affected, db
from devforge_api.core.encryption import fingerprint
from devforge_api.users import service as users

LIFETIME = timedelta(minutes=10)
INTERVAL = 5  # seconds between polls; slow_down adds as many
# Eight of twenty letters: 34 bits, of which a guesser gets a handful of tries (section 5.1). No
# vowels, so that no words come about, and nothing that looks like a digit.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
JITTER = timedelta(milliseconds=500)  # by which a punctual poll may come early
KEPT = timedelta(days=1)  # after expiry
COLLISIONS = 5


class Refusal(StrEnum):
    """Why a poll gets no tokens: RFC 8628 section 3.5, by its own names."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    INVALID = "invalid_grant"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a device shows, and what it keeps to ask with."""

    device_code: str
    user_code: str


def begin(client: Client, *, scope: str) -> Begun:
    """Let a device wait for its user."""
    device_code = secrets.token_urlsafe(32)
    for _ in range(COLLISIONS):
        letters = "".join(secrets.choice(LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        grant = DeviceGrant(
            client_id=client.client_id,
            scope=scope,
            device_code_hash=fingerprint(device_code),
            user_code=user_code,
            address=occasion().address,
            expires_at=utc_now() + LIFETIME,
        )
        try:
            with db.session.begin_nested():
                db.session.add(grant)
        except IntegrityError:
            continue  # somebody else's code of this moment
        return Begun(device_code, user_code)
    raise RuntimeError("no user code was free: are expired grants purged?")


def read_user_code(typed: str) -> str:
    """A code as it is stored: people type it in small letters, and without the hyphen."""
    letters = re.sub(r"[^A-Z]", "", typed[:40].upper())
    return f"{letters[:4]}-{letters[4:]}"


def find_pending(user_code: str) -> DeviceGrant:
    """The grant that waits for this code.

    :raises DeviceCodeInvalid: there is none, or no more.
    """
    grant = queries.find_pending_grant(user_code)
    if grant is None:
        raise DeviceCodeInvalid
    return grant


def decide(browser: BrowserSession, user_code: str, *, approved: bool) -> None:
    """Approve or deny what a device asks for; the first decision counts.

    :raises DeviceCodeInvalid: expired or decided meanwhile.
    :raises SessionNotFound: the browser has been signed out meanwhile.
    """
    browser_sessions.lock_to_decide(browser)
    values = {
        "status": GrantStatus.APPROVED if approved else GrantStatus.DENIED,
        "user_id": browser.user_id,
        "session_id": browser.id,
    }
    decision = (
        update(DeviceGrant)
        .where(
            DeviceGrant.user_code == user_code,
            DeviceGrant.status == GrantStatus.PENDING,
            DeviceGrant.expires_at > utc_now(),
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
    if affected(decision) != 1:
        raise DeviceCodeInvalid
    action = "auth.device_approved" if approved else "auth.device_denied"
    audit.record(action, target_type="user", target_id=browser.user_id, actor_id=browser.user_id)


def poll(device_code: str, client: Client) -> Tokens | Refusal:
    """What a device gets to hear; the caller commits either way."""
    grant = queries.find_device_grant(fingerprint(device_code))
    if grant is None or grant.client_id != client.client_id or grant.status is GrantStatus.CONSUMED:
        return Refusal.INVALID
    now = utc_now()
    if grant.expires_at <= now:
        return Refusal.EXPIRED
    if grant.status is GrantStatus.DENIED:
        return Refusal.DENIED
    if grant.status is GrantStatus.PENDING:
        return _wait(grant, now)
    return _use(grant, client)


def purge_expired(now: datetime) -> int:
    """Delete grants that expired longer ago than they are kept. Returns how many."""
    return affected(delete(DeviceGrant).where(DeviceGrant.expires_at < now - KEPT))


def _wait(grant: DeviceGrant, now: datetime) -> Refusal:
    due = now - timedelta(seconds=grant.interval) + JITTER
    this = update(DeviceGrant).where(DeviceGrant.id == grant.id, DeviceGrant.status == GrantStatus.PENDING)
    this = this.execution_options(synchronize_session=False)
    punctual = this.where(or_(DeviceGrant.polled_at.is_(None), DeviceGrant.polled_at <= due))
    if affected(punctual.values(polled_at=now)):
        return Refusal.PENDING
    return (
        Refusal.SLOW_DOWN
        if affected(this.values(polled_at=now, interval=DeviceGrant.interval + INTERVAL))
        else Refusal.PENDING  # decided in this moment: the next poll tells
    )


def _use(grant: DeviceGrant, client: Client) -> Tokens | Refusal:
    if grant.user_id is None or grant.session_id is None:
        return Refusal.INVALID
    user = users.find_user(grant.user_id, for_update=True)
    if user is None:
        return Refusal.INVALID
    use = (
        update(DeviceGrant)
        .where(DeviceGrant.id == grant.id, DeviceGrant.status == GrantStatus.APPROVED)
        .values(status=GrantStatus.CONSUMED)
        .execution_options(synchronize_session=False)
    )
    if affected(use) != 1:
        return Refusal.INVALID
    try:
        return admit_client(user, client_id=client.client_id, name=client.name, approved_in=grant.session_id)
    except (AccountDisabled, SessionNotFound):
        return Refusal.DENIED
