"""What an app does with its licence while it cannot ask: needs ``cryptography`` alone.

The same in TypeScript: verify_license.ts. What it all means: ../offline-licenses.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADINGS = {"license": "LICENSE FILE", "machine": "MACHINE FILE", "revocations": "LICENSE REVOCATIONS"}
TOLERANCE = timedelta(minutes=5)  # by which clocks differ though nobody has set them back
Document = dict[str, Any]  # {"meta", "data", "included"}
KeySet = dict[str, Any]  # of /.well-known/license-keys.json


class Untrusted(Exception):
    """Not the server's word, or not for this machine; the message is a code."""


@dataclass(frozen=True)
class Memory:
    """What the app keeps, best in the system's key store.

    The newest moment and counter that it has seen, and what the revocation list says.
    """

    latest: str = "1970-01-01T00:00:00Z"
    counter: int = 0
    next: int = 0
    listed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """May the app run, and why. Keep ``memory`` whatever the verdict."""

    usable: bool
    reason: str
    memory: Memory


def open_certificate(kind: str, text: str, keys: KeySet, secret: str | None = None) -> Document:
    """What a certificate says, once its signature is found genuine.

    :raises Untrusted: it is not.
    """
    head, tail = (f"-----{word} {HEADINGS[kind]}-----" for word in ("BEGIN", "END"))
    file = text.strip()
    if not file.startswith(head) or not file.endswith(tail):
        raise Untrusted("MALFORMED")
    try:
        parts = json.loads(base64.b64decode(file.removeprefix(head).removesuffix(tail)))
        enc, sig, alg, kid = (str(parts[name]) for name in ("enc", "sig", "alg", "kid"))
        signature = base64.b64decode(sig)
    except (ValueError, TypeError, KeyError) as error:
        raise Untrusted("MALFORMED") from error
    _check_signature(f"{kind}/{enc}", signature, keys, kid)
    if alg == "base64+ed25519" and "." not in enc:
        return _document(base64.b64decode(enc))
    if alg != "aes-256-gcm+ed25519":
        raise Untrusted("UNKNOWN_ALGORITHM")
    return _document(_decrypt(enc, secret or ""))


def _document(text: bytes) -> Document:
    found: Document = json.loads(text)
    return found


def _check_signature(text: str, signature: bytes, keys: KeySet, kid: str) -> None:
    found = [key for key in keys["keys"] if key["kid"] == kid]
    if not found:
        raise Untrusted("UNKNOWN_KEY")  # fetch the key set again, once
    public = Ed25519PublicKey.from_public_bytes(_from_base64url(found[0]["x"]))
    try:
        public.verify(signature, text.encode())
    except InvalidSignature as error:
        raise Untrusted("BAD_SIGNATURE") from error


def _decrypt(enc: str, secret: str) -> bytes:
    try:
        ciphertext, iv, tag = map(base64.b64decode, enc.split("."))
        return AESGCM(hashlib.sha256(secret.encode()).digest()).decrypt(iv, ciphertext + tag, None)
    except InvalidTag as error:
        raise Untrusted("WRONG_SECRET") from error  # for another key, or another machine
    except ValueError as error:
        raise Untrusted("MALFORMED") from error


def _from_base64url(letters: str) -> bytes:
    return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


def open_machine_file(text: str, keys: KeySet, key: str, fingerprint: str) -> Document:
    """A machine file or a lease, for this machine; encrypted or not.

    :raises Untrusted: it is not ours, or for another machine or key.
    """
    found = open_certificate("machine", text, keys, "".join(key.split()) + fingerprint)
    if found["data"]["fingerprint"] != fingerprint:
        raise Untrusted("OTHER_MACHINE")
    return found


def open_signed_key(key: str, keys: KeySet) -> dict[str, str | None]:
    """What a signed key says (``key/…``): licence, product, policy, issued, expiry.

    :raises Untrusted: it has not been signed by one of these keys.
    """
    text, _, signature = "".join(key.split()).partition(".")
    try:
        payload: dict[str, str | None] = json.loads(_from_base64url(text.removeprefix("key/")))
        kid, raw = str(payload["kid"]), _from_base64url(signature)
    except (ValueError, TypeError, KeyError) as error:
        raise Untrusted("MALFORMED") from error
    if not text.startswith("key/"):
        raise Untrusted("MALFORMED")
    _check_signature(text, raw, keys, kid)
    return payload


def accept(lease: Document, memory: Memory) -> Memory:
    """What to remember of a lease that the server has just given: its word corrects a clock.

    :raises Untrusted: somebody plays an old answer back.
    """
    counter = lease["meta"].get("counter", 0)
    if counter <= memory.counter:
        raise Untrusted("OLDER_LEASE")
    return replace(memory, latest=lease["meta"]["issued"], counter=counter)


def learn(text: str, keys: KeySet, memory: Memory) -> Memory:
    """What to remember of a revocation list; while it is not ``complete``, ask on from ``memory.next``.

    :raises Untrusted: not ours, not what was asked for, or an old one that is played back.
    """
    found = open_certificate("revocations", text, keys)
    meta = found["meta"]
    if meta["since"] not in {0, memory.next}:
        raise Untrusted("GAP")
    if _moment(meta["expiry"]) <= _moment(memory.latest):
        raise Untrusted("OLDER_LIST")
    listed = {} if meta["since"] == 0 else dict(memory.listed)
    listed.update({entry["license_id"]: entry["standing"] for entry in found["data"]})
    return replace(memory, next=meta["next"], listed=listed)


def judge(file: Document, memory: Memory, now: datetime, outcome: str) -> Verdict:
    """May the app run now, by this file?

    :param outcome: how asking the server went: ``valid``, ``unreachable``, ``too_many_requests``,
        ``server_error``, or ``refused``: it answered, and did not say that the licence is valid.
    """
    meta, data = file["meta"], file["data"]
    newest = max(_moment(memory.latest), _moment(meta["issued"]))
    kept = replace(memory, latest=max(newest, now).isoformat())
    if outcome == "refused":
        return Verdict(False, "REFUSED", kept)  # it was asked, and it says why
    if now < newest - TOLERANCE:
        return Verdict(False, "CLOCK_SET_BACK", memory)
    if meta.get("counter", memory.counter) < memory.counter:
        return Verdict(False, "OLDER_LEASE", kept)
    standing = memory.listed.get(data.get("license_id", data["id"]), "restored")
    if standing != "restored":
        return Verdict(False, standing.upper(), kept)
    if now < _moment(meta["expiry"]):
        return Verdict(True, "VALID", kept)
    policy = meta.get("failure_policy", {})
    if policy.get(outcome) == "keep" and now < _moment(policy["grace_until"]):
        return Verdict(True, "GRACE", kept)
    return Verdict(False, "EXPIRED", kept)


def is_entitled(file: Document, code: str, now: datetime) -> bool:
    """Whether a feature is included now."""
    license_ = next(one for one in (file["data"], *file["included"]) if one["type"] == "license")
    until = license_["entitlements_until"].get(code)
    return code in license_["entitlements"] and (until is None or now < _moment(until))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
