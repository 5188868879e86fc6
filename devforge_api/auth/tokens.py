"""Access and refresh tokens: made by Flask-JWT-Extended, read by stricter rules than its own.

It takes a token without type for an access token and lets exp and jti be absent; so what comes in
is verified by PyJWT directly, every claim demanded.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flask import Flask, current_app, g
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

from devforge_api.auth.scopes import ROLE_SCOPES
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Principal
from devforge_api.core.errors import TokenExpired, TokenInvalid
from devforge_api.core.keys import KeyPair, KeyPurpose, Keyring, keyring
from devforge_api.users.service import Role

TOKENS_REMEMBERED = 4096  # in each process, about a kilobyte each
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = {"alg": "EdDSA", "typ": "JWT"}
_REQUIRED = ["aud", "exp", "iat", "iss", "jti", "nbf", "sid", "sub", "type"]
# Servers' clocks differ a little: a token of this moment may come from the next second. Towards
# expiry there is no such tolerance.
_CLOCK_SKEW = timedelta(seconds=5)
jwt = JWTManager()


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a verified refresh token says."""

    user_id: UUID
    session_id: UUID
    counter: int


def init_app(app: Flask) -> None:
    """Give Flask-JWT-Extended our keys."""
    jwt.init_app(app)


@jwt.encode_key_loader
def _signing_key(_identity: Any) -> Ed25519PrivateKey:
    pair: KeyPair = g.token_signing_pair
    return pair.private


def _header_of_signing_key() -> dict[str, str]:
    """Choose the key for one token: its ``kid`` now, its private half when the library asks for it.

    Asked for twice, a rotation in between would put one key's name on the other's signature.
    """
    g.token_signing_pair = keyring(KeyPurpose.TOKENS).signing()
    return {"kid": g.token_signing_pair.kid}


def _verifying_key(header: dict[str, Any]) -> Ed25519PublicKey:
    kid = header.get("kid")
    pair = keyring(KeyPurpose.TOKENS).verifying(kid) if isinstance(kid, str) else None
    # Nothing but the two registered values and our kid: no jwk, jku, x5u, crit.
    if pair is None or header != {**_HEADER, "kid": kid}:
        raise TokenInvalid
    return pair.public


def make_access_token(
    *, user_id: UUID, session_id: UUID, token_version: int, role: str, lifetime: timedelta
) -> str:
    """A token for the Authorization header."""
    token: str = create_access_token(
        identity=str(user_id),
        expires_delta=lifetime,
        additional_claims={"sid": str(session_id), "ver": token_version, "role": role},
        additional_headers=_header_of_signing_key(),
    )
    return token


def make_refresh_token(
    *, user_id: UUID, session_id: UUID, counter: int, issued_at: datetime, expires_at: datetime
) -> str:
    """The one refresh token that these values stand for: byte-identical when made again."""
    issued = int(issued_at.timestamp())
    token: str = create_refresh_token(
        identity=str(user_id),
        expires_delta=False,
        additional_claims={
            "sid": str(session_id),
            "jti": f"{session_id}.{counter}",
            "iat": issued,
            "nbf": issued,
            "exp": int(expires_at.timestamp()),
        },
        additional_headers=_header_of_signing_key(),
    )
    return token


def read_access_token(token: str) -> Principal:
    """The caller whom an access token names; it may be revoked.

    :raises TokenExpired: its time is over. :raises TokenInvalid: anything else about it.
    """
    ring = keyring(KeyPurpose.TOKENS)
    kid, expires_at, principal = _genuine(token, ring)
    if expires_at <= time.time():
        raise TokenExpired
    if ring.verifying(kid) is None:  # removed since the token was first seen
        raise TokenInvalid
    return principal


@lru_cache(maxsize=TOKENS_REMEMBERED)
def _genuine(token: str, _ring: Keyring) -> tuple[str, int, Principal]:
    """What never changes about a genuine token: its key's name, its expiry, and its caller.

    Its signature costs more to verify than the rest of a short request; refusals are not remembered.
    """
    claims = _claims(token, "access")
    try:
        version, role = claims["ver"], claims["role"]
        if type(version) is not int or type(role) is not str:
            raise TokenInvalid
        scopes = ROLE_SCOPES[Role(role)]
        principal = Principal(UUID(claims["sub"]), role, scopes, UUID(claims["sid"]), version)
        return pyjwt.get_unverified_header(token)["kid"], claims["exp"], principal
    except (KeyError, ValueError, AttributeError, TypeError):
        raise TokenInvalid from None


def read_refresh_token(token: str) -> RefreshClaims:
    """Verify a refresh token, except for its place in the session.

    :raises TokenExpired: its time is over. :raises TokenInvalid: anything else about it.
    """
    claims = _claims(token, "refresh")
    try:
        session_id, _, counter = claims["jti"].partition(".")
        if session_id != claims["sid"] or not re.fullmatch(r"[0-9]{1,9}", counter):
            raise TokenInvalid
        return RefreshClaims(UUID(claims["sub"]), UUID(session_id), int(counter))
    except (KeyError, ValueError, AttributeError, TypeError):
        raise TokenInvalid from None


def _claims(token: str, kind: str) -> dict[str, Any]:
    if not _COMPACT.fullmatch(token) or len(token) > 4096:
        raise TokenInvalid
    config = current_app.config
    try:
        claims: dict[str, Any] = pyjwt.decode(
            token,
            _verifying_key(pyjwt.get_unverified_header(token)),
            algorithms=config["JWT_DECODE_ALGORITHMS"],
            audience=config["JWT_DECODE_AUDIENCE"],
            issuer=config["JWT_DECODE_ISSUER"],
            leeway=_CLOCK_SKEW,
            options={"require": _REQUIRED, "strict_aud": True},
        )
    except pyjwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (pyjwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenInvalid from None
    # PyJWT also reads numbers out of strings.
    if claims["type"] != kind or not all(type(claims[name]) is int for name in ("iat", "nbf", "exp")):
        raise TokenInvalid
    if claims["exp"] <= utc_now().timestamp():
        raise TokenExpired
    return claims
