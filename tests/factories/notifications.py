"""Notifications, browsers and news without the deeds behind them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devforge_api.core.clock import utc_now
from devforge_api.core.db import unit_of_work
from devforge_api.core.news import News
from devforge_api.notifications.service import telling
from tests.factories import Api, Person

LICENSE = {
    "license_id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d",
    "status": "expired",
    "product": "dev-forge",
    "product_name": "Dev Forge",
    "policy": "pro",
    "expires_at": "2026-01-15T09:30:00Z",
}


def tell(api: Api, users: Iterable[Person | UUID], name: str = "license.expired", **data: Any) -> None:
    """Tell users a piece of news, as the outbox would."""
    ids = tuple(user.id if isinstance(user, Person) else user for user in users)
    with api.app.app_context(), unit_of_work():
        telling.tell(News(name, ids, {**LICENSE, **data}, utc_now()))


@dataclass(frozen=True)
class Browser:
    """What a browser knows of its push subscription, and what it is sent."""

    endpoint: str
    private: ec.EllipticCurvePrivateKey
    auth: bytes

    @classmethod
    def at(cls, endpoint: str) -> Browser:
        return cls(endpoint, ec.generate_private_key(ec.SECP256R1()), b"sixteen bytes ok")

    @property
    def subscription(self) -> dict[str, Any]:
        """As ``PushSubscription.toJSON()`` gives it."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": base64url(point), "auth": base64url(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> bytes:
        """What a message says (RFC 8291)."""
        plain: bytes = http_ece.decrypt(
            body, private_key=self.private, auth_secret=self.auth, version="aes128gcm"
        )
        return plain


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
