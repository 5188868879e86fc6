"""Ed25519 signing keys: in the database, private half encrypted, found by ``kid``."""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from flask import Flask, current_app
from sqlalchemy import Engine, Text, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, checked_enum, db, reading_engine, uuid7
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.core.errors import Conflict, NotFound, Unavailable

REFRESH_SECONDS = 60.0  # after which every process signs with a rotated key, and drops a removed one
# A new key signs only when it is older than any process's last look for unknown ones can be:
# whoever meets its signature then has read it already, or reads it now.
SETTLING = timedelta(seconds=10)
KEYS_MAX_AGE = 300  # seconds for which others may keep our public keys
UNKNOWN_KID_PAUSE = 5.0  # seconds between database look-ups for kids that nobody has seen


MAKING_LOCK = 0x0DE7F064  # of PostgreSQL's advisory locks; any number, the same for all


class KeyNotFound(NotFound):
    """There is no such signing key."""

    code = "SIGNING_KEY_NOT_FOUND"


class KeyInUse(Conflict):
    """This key still signs; rotate first."""

    code = "SIGNING_KEY_IN_USE"


class KeyPurpose(StrEnum):
    """What a key signs; a key never serves two purposes."""

    TOKENS = "tokens"
    LICENSES = "licenses"


class SigningKey(Model):
    """One key pair. ``retired_at`` set: still verifies, no longer signs."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[KeyPurpose] = mapped_column(checked_enum(KeyPurpose))
    private_key: Mapped[str] = mapped_column(Text)  # PEM, encrypted under the master key
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    retired_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key ready for use."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class Keyring:
    """The keys of one purpose, read once and again when an unknown ``kid`` appears."""

    def __init__(self, purpose: KeyPurpose) -> None:
        self.purpose = purpose
        self._pairs: dict[str, KeyPair] = {}
        self._signing: KeyPair | None = None
        self._lock = threading.Lock()
        self._looked_up = 0.0
        self._loaded = 0.0

    def signing(self) -> KeyPair:
        """The newest key, looked for again every minute: after a rotation all processes follow.

        :raises Unavailable: there is none yet; `ensure` makes it.
        """
        if self._signing is None or time.monotonic() - self._loaded > REFRESH_SECONDS:
            with self._lock:
                self._load()
        # SQLite has one writer, and a caller's transaction may be it: there, `ensure` came before.
        if self._signing is None and db.engine.dialect.name == "postgresql":
            self.ensure()
        if self._signing is None:
            raise Unavailable(1)
        return self._signing

    def ensure(self) -> None:
        """Make the first key, in a transaction of its own."""
        with self._lock:
            self._load()
            if self._signing is None:
                _make_first(db.engine, self.purpose)
                self._load()

    def verifying(self, kid: str) -> KeyPair | None:
        """The key with this ``kid``; a stranger's costs at most one query in five seconds."""
        found = self._pairs.get(kid)
        if found is None and time.monotonic() - self._looked_up > UNKNOWN_KID_PAUSE:
            with self._lock:
                if time.monotonic() - self._looked_up > UNKNOWN_KID_PAUSE:  # no other thread was faster
                    self._load()
                    self._looked_up = time.monotonic()
            found = self._pairs.get(kid)
        return found

    def all(self) -> list[KeyPair]:
        """Every key that verifies, oldest first, as of a minute ago at most."""
        if time.monotonic() - self._loaded > REFRESH_SECONDS or not self._pairs:
            with self._lock:
                self._load()
        return list(self._pairs.values())

    def key_set(self) -> dict[str, Any]:
        """The public halves as a JWK Set (RFC 7517, RFC 8037), retired keys while they are kept."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": base64.urlsafe_b64encode(pair.public.public_bytes(Encoding.Raw, PublicFormat.Raw))
                    .decode()
                    .rstrip("="),
                    "kid": pair.kid,
                    "use": "sig",
                    "alg": "EdDSA",
                }
                for pair in self.all()
            ]
        }

    def _load(self) -> None:
        statement = select(SigningKey.kid, SigningKey.private_key, SigningKey.created_at)
        statement = statement.where(SigningKey.purpose == self.purpose).order_by(SigningKey.created_at)
        pairs: dict[str, KeyPair] = {}
        signing = None
        with reading_engine().connect() as connection:
            for kid, pem, created_at in connection.execute(statement):
                pairs[kid] = self._pairs.get(kid) or _open(kid, pem)
                if signing is None or created_at <= utc_now() - SETTLING:
                    signing = pairs[kid]
        self._pairs, self._signing, self._loaded = pairs, signing, time.monotonic()


def _open(kid: str, encrypted_pem: str) -> KeyPair:
    private = load_pem_private_key(decrypt(encrypted_pem).encode(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return KeyPair(kid, private, private.public_key())


def _new_row(purpose: KeyPurpose) -> dict[str, Any]:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "kid": uuid7().hex,
        "purpose": purpose,
        "private_key": encrypt(pem.decode()),
        "created_at": utc_now(),
    }


def _make_first(engine: Engine, purpose: KeyPurpose) -> None:
    """Make a key unless another process has just made one; they queue for the transaction."""
    usable = select(SigningKey.kid).where(SigningKey.purpose == purpose, SigningKey.retired_at.is_(None))
    with engine.begin() as connection:  # on SQLite this waits for other writers by itself
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MAKING_LOCK)))
        if connection.execute(usable).first() is None:
            connection.execute(insert(SigningKey).values(_new_row(purpose)))


def rotate(purpose: KeyPurpose) -> str:
    """Make a new key that signs soon; older ones go on verifying. Returns its ``kid``.

    Every process knows it after ten seconds, and signs with it after a minute at most.
    """
    row = _new_row(purpose)
    db.session.execute(
        update(SigningKey)
        .where(SigningKey.purpose == purpose, SigningKey.retired_at.is_(None))
        .values(retired_at=utc_now())
    )
    db.session.add(SigningKey(**row))
    db.session.flush()
    return str(row["kid"])


def remove(kid: str) -> None:
    """Delete a retired key: what it signed is refused from now on.

    :raises KeyNotFound: there is none. :raises KeyInUse: it still signs; rotate first.
    """
    key = db.session.get(SigningKey, kid, with_for_update=True)
    if key is None:
        raise KeyNotFound
    if key.retired_at is None:
        raise KeyInUse
    db.session.delete(key)


def signing_keys() -> list[SigningKey]:
    """Every key, newest first."""
    return list(db.session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc())))


def init_app(app: Flask) -> None:
    """Give the application a keyring for each purpose."""
    app.extensions["devforge-keys"] = {purpose: Keyring(purpose) for purpose in KeyPurpose}


def ensure_signing_keys() -> None:
    """Make the keys that are missing; before requests are served, since SQLite has one writer."""
    for ring in current_app.extensions["devforge-keys"].values():
        ring.ensure()


def keyring(purpose: KeyPurpose) -> Keyring:
    """The application's keys for one purpose."""
    ring: Keyring = current_app.extensions["devforge-keys"][purpose]
    return ring
