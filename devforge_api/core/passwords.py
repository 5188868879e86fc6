"""Password hashing (argon2id), bounded so that sign-in cannot starve everything else."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app

from devforge_api.core.errors import Unavailable, ValidationFailed

MINIMUM_LENGTH, MAXIMUM_LENGTH = 8, 128
CONTEXT_WORDS = ("devforge", "dev forge", "dev-forge")
QUEUE_LENGTH, QUEUE_SECONDS = 16, 3.0

# OWASP's argon2id parameters: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
_queue = threading.BoundedSemaphore(QUEUE_LENGTH)


class _Slot:
    """A place at the hasher, or a 503 when the queue is full or slow."""

    def __enter__(self) -> None:
        if not _queue.acquire(blocking=False):
            raise Unavailable(2)
        try:
            if not _slots.acquire(timeout=QUEUE_SECONDS):
                raise Unavailable(2)
        finally:
            _queue.release()

    def __exit__(self, *_: object) -> None:
        _slots.release()


def hash_password(password: str) -> str:
    """An argon2id hash in PHC form.

    :raises Unavailable: too many are being hashed already.
    """
    with _Slot():
        return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the password is right; None costs the same time as a wrong one.

    :raises Unavailable: too many are being hashed already.
    """
    with _Slot():
        try:
            _hasher.verify(password_hash or _dummy_hash(), password)
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return _hasher.hash("nobody has this password")


@lru_cache(maxsize=4)
def _common_passwords(extra_file: str | None) -> frozenset[str]:
    own = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    extra = Path(extra_file).read_text(encoding="utf-8") if extra_file else ""
    return frozenset(line.strip().casefold() for line in (own + "\n" + extra).splitlines())


def check_new_password(password: str, *, email: str, field: str = "password") -> None:
    """Refuse passwords that are guessed first (OWASP ASVS 5.0, 6.2).

    :raises ValidationFailed: too short or long, common, or made from the address or our name.
    """
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise ValidationFailed.of(
            field, f"Use {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters.", "PASSWORD_LENGTH"
        )
    folded = password.casefold()
    if folded in _common_passwords(current_app.config["COMMON_PASSWORDS_FILE"]):
        raise ValidationFailed.of(field, "This password is among the most common ones.", "PASSWORD_COMMON")
    local_part = email.partition("@")[0].casefold()
    words = (*CONTEXT_WORDS, local_part) if len(local_part) >= 4 else CONTEXT_WORDS
    if any(word in folded for word in words):
        raise ValidationFailed.of(
            field, "Leave your address and our name out of the password.", "PASSWORD_CONTEXT"
        )
