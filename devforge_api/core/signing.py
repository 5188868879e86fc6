"""Short texts that only this installation can have made, and names that tell nothing.

Signed with the secret keys (HMAC-SHA256): the first one signs, every listed one is accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from flask import current_app

SIZE = 32  # bytes of the signature


def seal(purpose: str, body: bytes) -> str:
    """The body with its signature, in URL-safe letters. It can be read, but not made, by others.

    :param purpose: a seal made for another one is not accepted.
    """
    return base64.urlsafe_b64encode(_mac(_keys()[0], purpose, body) + body).decode().rstrip("=")


def unseal(purpose: str, text: str) -> bytes | None:
    """The body of a genuine text; None for anything else."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    given, body = raw[:SIZE], raw[SIZE:]
    genuine = [hmac.compare_digest(given, _mac(key, purpose, body)) for key in _keys()]
    return body if any(genuine) else None


def pseudonym(purpose: str, *parts: str) -> str:
    """A name for what must not be read where it is kept, such as whom a budget belongs to.

    :param parts: without NUL.
    """
    return pseudonyms(purpose, *parts)[0]


def pseudonyms(purpose: str, *parts: str) -> tuple[str, ...]:
    """The names by all listed keys, for finding what was kept under an older one."""
    body = "\0".join(parts).encode()
    return tuple(_mac(key, purpose, body).hex()[:32] for key in _keys())


def secrets_for(purpose: str) -> tuple[str, ...]:
    """Secrets of one purpose, for a protocol that signs in its own way: the first signs, all are accepted."""
    return tuple(_mac(key, purpose, b"").hex() for key in _keys())


def _keys() -> tuple[str, ...]:
    keys: tuple[str, ...] = current_app.config["SECRET_KEYS"]
    return keys


def _mac(key: str, purpose: str, body: bytes) -> bytes:
    # The purpose holds no NUL: the two parts cannot be shifted against each other.
    return hmac.digest(key.encode(), purpose.encode() + b"\0" + body, hashlib.sha256)
