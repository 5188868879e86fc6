"""ID tokens (OpenID Connect Core 1.0, section 3.1.3.7): whose signature, for whom, how old."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

from devforge_api.auth.errors import ProviderAnswerInvalid, ProviderUnavailable

# Signatures alone: with "none" or HMAC anybody could make a token who knows the public key.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
SKEW = 60  # seconds by which a provider's clock may differ from ours
MAXIMUM_KEYS, MAXIMUM_LENGTH = 50, 32 * 1024
KEPT_SECONDS, RENEWED_SECONDS = 3600.0, 60.0
Value = TypeVar("Value")

_registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # unknown headers mean nothing
_registry.max_header_length = 16 * 1024  # some send their certificates


class Kept(Generic[Value]):
    """What was fetched, for an hour; of those who want it at once, one fetches."""

    def __init__(self, fetch: Callable[[], Value]) -> None:
        self._fetch = fetch
        self._guard = threading.Lock()
        self._value: Value | None = None
        self._until = self._renewed = self._failed = float("-inf")

    def get(self) -> Value:
        """The value, perhaps an hour old."""
        asked = time.monotonic()
        with self._guard:
            if self._value is not None and time.monotonic() <= self._until:
                return self._value
            if self._failed >= asked:  # whoever was first has waited in vain for all of us
                raise ProviderUnavailable(5)
            return self._renew()

    def renewed(self) -> Value:
        """The value, fetched anew; but once a minute at most."""
        with self._guard:
            if self._value is None or time.monotonic() > self._renewed + RENEWED_SECONDS:
                self._renewed = time.monotonic()
                return self._renew()
            return self._value

    def _renew(self) -> Value:
        try:
            self._value = self._fetch()
        except Exception:
            self._failed = time.monotonic()
            raise
        self._until = time.monotonic() + KEPT_SECONDS
        return self._value


def key_set(document: Any) -> KeySet:
    """The public keys of a JWK set (RFC 7517); those of kinds that we do not know are left out.

    :raises ProviderAnswerInvalid: it is no JWK set.
    """
    given = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(given, list) or len(given) > MAXIMUM_KEYS:
        raise ProviderAnswerInvalid
    return KeySet([key for key in map(_public_key, given) if key is not None])


def _public_key(given: Any) -> Key | None:
    # A shared secret published among them would sign for everybody.
    if not isinstance(given, dict) or given.get("kty") == "oct" or given.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(given)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def signed_claims(token: object, keys: Kept[KeySet]) -> dict[str, Any]:
    """The claims of a token that one of these keys has signed.

    :raises ProviderAnswerInvalid: no such token.
    """
    if not isinstance(token, str) or len(token) > MAXIMUM_LENGTH:
        raise ProviderAnswerInvalid
    try:
        try:
            return dict(jwt.decode(token, keys.get(), registry=_registry).claims)
        except InvalidKeyIdError:  # keys change without notice
            return dict(jwt.decode(token, keys.renewed(), registry=_registry).claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProviderAnswerInvalid from error


def check_claims(claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str) -> None:
    """Whether signed claims are this issuer's, for us, for this sign-in, and of now.

    :raises ProviderAnswerInvalid: one of them is not.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    given = claims.get("nonce")
    good = (
        claims.get("iss") == issuer
        and client_id in audiences
        and (party == client_id or (party is None and len(audiences) == 1))
        and isinstance(given, str)
        and hmac.compare_digest(given.encode("utf-8", "replace"), nonce.encode())
        and _is_of_now(claims)
    )
    if not good:
        raise ProviderAnswerInvalid


def _is_of_now(claims: dict[str, Any]) -> bool:
    now = time.time()
    expires, issued, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not all(type(moment) in {int, float} for moment in (expires, issued, begins)):
        return False
    return bool(expires > now - SKEW and issued < now + SKEW and begins < now + SKEW)  # type: ignore[operator]
