"""Licence keys: 130 random bits in Crockford's base 32, or a text with our signature."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature

from devforge_api.core.clock import rfc3339
from devforge_api.core.encryption import encrypt, fingerprint
from devforge_api.core.json import dump
from devforge_api.core.keys import KeyPurpose, keyring
from devforge_api.licenses.models import KeyScheme, Policy
from devforge_api.licenses.queries import product_code

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_SIGNED = "key/"  # what a signed key begins with, and its signature covers


def make_key(
    policy: Policy,
    license_id: UUID,
    *,
    now: datetime,
    expires_at: datetime | None = None,
    pending: bool = False,
) -> str:
    """A new key for a licence, by its policy's scheme; never the same twice.

    :param expires_at: of the licence at present; a signed key goes on saying so.
    :param pending: its order waits, so that nothing is signed yet.
    :raises Unavailable: there is no key yet to sign with.
    """
    if policy.key_scheme is KeyScheme.SIGNED and not pending:
        return _signed_key(policy, license_id, now, expires_at)
    return _random_key()


def _random_key() -> str:
    """Such as ``DF-4T0WX-9K2PM-7HQ3Z-B6NCE-1YRVD8``."""
    symbols = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    groups = [symbols[start : start + 5] for start in range(0, 20, 5)] + [symbols[20:]]
    return "-".join(("DF", *groups))


def _signed_key(policy: Policy, license_id: UUID, now: datetime, expires_at: datetime | None) -> str:
    """``key/{payload}.{signature}``, each in base64url, at most 512 letters."""
    pair = keyring(KeyPurpose.LICENSES).signing()
    payload = {
        "license": license_id,
        "product": product_code(policy.product_id),
        "policy": policy.id,
        "issued": _second(now),
        "expiry": None if expires_at is None else _second(expires_at),
        "kid": pair.kid,
        "nonce": secrets.token_urlsafe(8),  # a key that replaces another one of the same second differs
    }
    text = _SIGNED + _b64url(dump(payload))
    return f"{text}.{_b64url(pair.private.sign(text.encode()))}"


def read_signed_key(key: str) -> dict[str, Any] | None:
    """What a signed key of ours says; None: it is something else, or its signing key is gone."""
    text, _, signature = bare_key(key).partition(".")
    try:
        payload = json.loads(_unb64url(text.removeprefix(_SIGNED)))
        pair = keyring(KeyPurpose.LICENSES).verifying(payload["kid"])
        if pair is None or not text.startswith(_SIGNED):
            return None
        pair.public.verify(_unb64url(signature), text.encode())
    except (ValueError, TypeError, KeyError, InvalidSignature):
        return None
    found: dict[str, Any] = payload
    return found


def _second(at: datetime) -> str:
    return rfc3339(at.replace(microsecond=0))


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64url(letters: str) -> bytes:
    return base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)


def bare_key(key: str) -> str:
    """A key without the blanks and line breaks that copying has left in it."""
    return "".join(key.split())


def hash_key(key: str) -> str:
    """What a key is found by."""
    return fingerprint(bare_key(key))


def seal_key(key: str) -> str:
    """The key, encrypted for its row."""
    return encrypt(key)
