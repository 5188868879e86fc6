"""Licence keys: 130 random bits, written in Crockford's base 32."""

from __future__ import annotations

import secrets

from devforge_api.core.encryption import encrypt, fingerprint

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26


def make_key() -> str:
    """Such as ``DF-4T0WX-9K2PM-7HQ3Z-B6NCE-1YRVD8``."""
    symbols = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    groups = [symbols[start : start + 5] for start in range(0, 20, 5)] + [symbols[20:]]
    return "-".join(("DF", *groups))


def bare_key(key: str) -> str:
    """A key without the blanks and line breaks that copying has left in it."""
    return "".join(key.split())


def hash_key(key: str) -> str:
    """What a key is found by."""
    return fingerprint(bare_key(key))


def seal_key(key: str) -> str:
    """The key, encrypted for its row."""
    return encrypt(key)
