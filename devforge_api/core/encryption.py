"""Encryption of secrets at rest, under the master key.

Fernet from the ``cryptography`` package; its MultiFernet is the rotation: the first key encrypts,
every listed key decrypts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app
from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

from devforge_api.core.db import db, unit_of_work


def init_app(app: Flask) -> None:
    """Derive the encryption keys once."""
    app.extensions["devforge-encryption"] = MultiFernet(
        [Fernet(_derive(master)) for master in app.config["MASTER_KEYS"]]
    )


def install_columns(app: Flask, columns: tuple[InstrumentedAttribute[Any], ...]) -> None:
    """Tell which columns hold ciphertext."""
    app.extensions["devforge-encrypted"] = columns


def _derive(master: str) -> bytes:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"devforge secrets at rest").derive(master.encode())
    return base64.urlsafe_b64encode(derived)


def encrypt(plaintext: str) -> str:
    """Ciphertext, in ASCII, that only this installation's master key opens."""
    token: bytes = current_app.extensions["devforge-encryption"].encrypt(plaintext.encode())
    return token.decode()


def decrypt(ciphertext: str) -> str:
    """The text that was encrypted.

    :raises ValueError: another master key made it, or it was tampered with.
    """
    try:
        plaintext: bytes = current_app.extensions["devforge-encryption"].decrypt(ciphertext.encode())
    except InvalidToken as error:
        raise ValueError("not encrypted under a known DEVFORGE_MASTER_KEY") from error
    return plaintext.decode()


def encrypted_columns() -> tuple[InstrumentedAttribute[Any], ...]:
    """Every column that holds ciphertext, as the registry has told."""
    columns: tuple[InstrumentedAttribute[Any], ...] = current_app.extensions["devforge-encrypted"]
    return columns


def reencrypt(column: InstrumentedAttribute[Any], *, batch: int = 500) -> Iterator[int]:
    """Bring a column's ciphertexts under the newest master key, a batch a transaction.

    Safe to interrupt and to repeat. A row that changes meanwhile is left as it is: whoever wrote
    it used the newest key.

    :yields: how many rows each batch has seen.
    :raises ValueError: a row was encrypted under a key that is no longer listed.
    """
    table: Any = column.class_.__table__
    key, sealed = next(iter(table.primary_key)), table.c[column.property.columns[0].name]
    last = None
    while True:
        page = select(key, sealed).where(sealed.is_not(None)).order_by(key).limit(batch)
        with unit_of_work():
            rows = db.session.execute(page if last is None else page.where(key > last)).all()
            for row_key, ciphertext in rows:
                values = {sealed.name: _rotated(ciphertext)}
                if "updated_at" in table.c:  # nobody has edited the row
                    values["updated_at"] = table.c.updated_at
                db.session.execute(update(table).where(key == row_key, sealed == ciphertext).values(values))
        if not rows:
            return
        last = rows[-1][0]
        yield len(rows)


def _rotated(ciphertext: str) -> str:
    try:
        token: bytes = current_app.extensions["devforge-encryption"].rotate(ciphertext.encode())
    except InvalidToken as error:
        raise ValueError("a row is encrypted under a key that DEVFORGE_MASTER_KEY does not list") from error
    return token.decode()


def fingerprint(secret: str) -> str:
    """SHA-256, for finding a secret of at least 128 random bits without storing it."""
    return hashlib.sha256(secret.encode()).hexdigest()
