"""Certificates: documents that apps verify without asking us (docs/offline-licenses.md).

The format is that of Keygen's licence and machine files, with the signing key's ``kid`` beside:
whoever reads those reads ours, and keys can be rotated.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from devforge_api.core.json import dump
from devforge_api.core.keys import KeyPurpose, keyring
from devforge_api.licenses.service.keys import bare_key

PLAIN = "base64+ed25519"
ENCRYPTED = "aes-256-gcm+ed25519"
_IV_BYTES, _TAG_BYTES = 12, 16
_LINE = 64  # letters, as in RFC 7468


class Kind(StrEnum):
    """What a certificate is of; the value is the first part of what is signed."""

    LICENSE = "license"
    MACHINE = "machine"
    REVOCATIONS = "revocations"


HEADINGS = {
    Kind.LICENSE: "LICENSE FILE",
    Kind.MACHINE: "MACHINE FILE",
    Kind.REVOCATIONS: "LICENSE REVOCATIONS",
}
_FILE = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END \1-----")


class Untrusted(ValueError):
    """A text that is no certificate of ours, or cannot be opened. The message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed document, and which key has signed it."""

    text: str
    kid: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What a genuine certificate says."""

    kind: Kind
    kid: str
    encrypted: bool
    document: dict[str, Any]


def secret_of(key: str, fingerprint: str | None = None) -> str:
    """What a file is encrypted under: a licence's key, for a machine's file with its fingerprint."""
    return bare_key(key) + (fingerprint or "")


def certify(kind: Kind, document: Mapping[str, Any], *, secret: str | None = None) -> Certificate:
    """Sign a document, encrypted if there is a secret: one signature, no statement.

    :param document: ``{meta, data, included}``, JSON values and UUIDs.
    :param secret: by `secret_of`.
    :raises Unavailable: there is no signing key yet.
    """
    text = dump(document)
    if secret is None:
        algorithm, body = PLAIN, _b64(text)
    else:
        algorithm, body = ENCRYPTED, _encrypt(text, secret)
    pair = keyring(KeyPurpose.LICENSES).signing()
    signature = pair.private.sign(f"{kind}/{body}".encode())
    parts = dump({"enc": body, "sig": _b64(signature), "alg": algorithm, "kid": pair.kid})
    return Certificate(_framed(HEADINGS[kind], _b64(parts)), pair.kid)


def read(text: str, *, secret: str | None = None) -> Opened:
    """What a certificate says, once it has turned out to be genuine.

    Whether it is still in force is for the reader: see ``meta``.

    :param secret: for encrypted ones, by `secret_of`.
    :raises Untrusted: not ours, tampered with, or not to be opened by this secret.
    """
    kind, parts = _unframed(text)
    body, signature, algorithm, kid = parts["enc"], parts["sig"], parts["alg"], parts["kid"]
    if algorithm not in {PLAIN, ENCRYPTED}:
        raise Untrusted(f"the algorithm {algorithm} is not known")
    pair = keyring(KeyPurpose.LICENSES).verifying(kid)
    if pair is None:
        raise Untrusted(f"the key {kid} is not known here, or was removed")
    try:
        pair.public.verify(_unb64(signature), f"{kind}/{body}".encode())
    except InvalidSignature as error:
        raise Untrusted("the signature does not match") from error
    if algorithm == PLAIN:
        return Opened(kind, kid, False, json.loads(_unb64(body)))
    if secret is None:
        raise Untrusted("it is encrypted: the licence's key is needed")
    return Opened(kind, kid, True, json.loads(_decrypt(body, secret)))


def _framed(heading: str, letters: str) -> str:
    lines = [letters[start : start + _LINE] for start in range(0, len(letters), _LINE)]
    return "\n".join((f"-----BEGIN {heading}-----", *lines, f"-----END {heading}-----", ""))


def _unframed(text: str) -> tuple[Kind, dict[str, str]]:
    """The kind of a file, and its four parts.

    :raises Untrusted: it has another form.
    """
    found = _FILE.fullmatch(text.strip())
    kinds = {heading: kind for kind, heading in HEADINGS.items()}
    if found is None or found[1] not in kinds:
        raise Untrusted("it is no licence file, machine file or revocation list")
    try:
        parts = json.loads(_unb64("".join(found[2].split())))
    except ValueError as error:
        raise Untrusted("between its lines stands no certificate") from error
    names = {"enc", "sig", "alg", "kid"}
    if not isinstance(parts, dict) or not all(isinstance(parts.get(name), str) for name in names):
        raise Untrusted("a part of the certificate is missing")
    return kinds[found[1]], parts


def _encrypt(text: bytes, secret: str) -> str:
    iv = secrets.token_bytes(_IV_BYTES)
    sealed = AESGCM(hashlib.sha256(secret.encode()).digest()).encrypt(iv, text, None)
    return ".".join(map(_b64, (sealed[:-_TAG_BYTES], iv, sealed[-_TAG_BYTES:])))


def _decrypt(body: str, secret: str) -> bytes:
    try:
        ciphertext, iv, tag = map(_unb64, body.split("."))
        return AESGCM(hashlib.sha256(secret.encode()).digest()).decrypt(iv, ciphertext + tag, None)
    except (InvalidTag, ValueError) as error:
        raise Untrusted("it was encrypted for another key or machine") from error


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(letters: str) -> bytes:
    try:
        return base64.b64decode(letters, validate=True)
    except ValueError as error:
        raise Untrusted("a part of it is not base64") from error
