"""The key by which push services know this server (VAPID, RFC 8292)."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from devforge_api.core.db import db, insert_into
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.notifications.models import PushKey

NAME = "vapid"


def find() -> ec.EllipticCurvePrivateKey | None:
    """The key; None: nobody has asked for it yet."""
    row = db.session.get(PushKey, NAME)
    if row is None:
        return None
    key = load_pem_private_key(decrypt(row.private_key).encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def make() -> ec.EllipticCurvePrivateKey:
    """The key, made unless somebody has just made it."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    row = insert_into(PushKey).values(name=NAME, private_key=encrypt(pem))
    db.session.execute(row.on_conflict_do_nothing())
    found = find()
    assert found is not None  # of whoever was first
    return found


def public_half(key: ec.EllipticCurvePrivateKey) -> str:
    """The ``applicationServerKey`` of ``PushManager.subscribe``: an uncompressed point in base64url."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).decode().rstrip("=")
