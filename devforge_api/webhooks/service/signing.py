"""Secrets, and what is signed with them (Standard Webhooks 1.0.0, symmetric signatures)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.webhooks.models import WebhookEndpoint

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as its owner is shown it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def seal(secret: str) -> str:
    """The secret as it is stored."""
    return encrypt(secret)


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> tuple[str, ...]:
    """What signs for an endpoint: its secret, and after a rotation the one before, for a while."""
    sealed = [endpoint.secret]
    until = endpoint.previous_secret_until
    if endpoint.previous_secret and until is not None and until > now:
        sealed.append(endpoint.previous_secret)
    return tuple(decrypt(one) for one in sealed)


def headers(message_id: UUID, body: bytes, signers: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers by which a receiver knows that a message is ours, and new."""
    seconds = str(int(now.timestamp()))
    signed = f"{message_id}.{seconds}.".encode() + body
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in signers),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
