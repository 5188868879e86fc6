"""Encryption of secrets at rest, under the master key.

Fernet from the ``cryptography`` package; its MultiFernet is the rotation: the first key encrypts,
every listed key decrypts.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app


def init_app(app: Flask) -> None:
    """Derive the encryption keys once."""
    app.extensions["devforge-encryption"] = MultiFernet(
        [Fernet(_derive(master)) for master in app.config["MASTER_KEYS"]]
    )


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


def fingerprint(secret: str) -> str:
    """SHA-256, for finding a secret of at least 128 random bits without storing it."""
    return hashlib.sha256(secret.encode()).hexdigest()
