"""Password hashing (argon2id), bounded so that sign-in cannot starve everything else."""

from __future__ import annotations

import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

from flask import current_app, has_app_context

from devforge_api.core import argon2id
from devforge_api.core.db import in_unit_of_work, release_connection
from devforge_api.core.errors import Unavailable, ValidationFailed
from devforge_api.core.slots import lend_slot

MINIMUM_LENGTH, MAXIMUM_LENGTH = 8, 128
CONTEXT_WORDS = ("devforge", "dev forge", "dev-forge")
# Who waits holds one of the server's threads, of which there are some more (ops/buffering.py).
QUEUE_LENGTH, QUEUE_SECONDS = 64, 3.0
# Enough for others to go first; a machine that is busy with something else must not starve sign-in.
NICENESS = 4

_queue = threading.BoundedSemaphore(QUEUE_LENGTH)
Result = TypeVar("Result")


def _give_way() -> None:
    """Let everything else on this machine run first; the library works without Python's lock."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _threads() -> ThreadPoolExecutor:
    """This process's share of the cores: more hashes at a time only thrash the caches."""
    processes = current_app.config["WEB_WORKERS"] if has_app_context() else 1
    return _executor(max(1, (os.cpu_count() or 2) // processes))


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "devforge-hash", initializer=_give_way)


def _work_off(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    """What a hashing thread does: it keeps its memory while there is more to hash."""
    try:
        return work()
    finally:
        if threads._work_queue.empty():
            argon2id.give_memory_back()


def _in_turn(work: Callable[[], Result]) -> Result:
    """Do the work on one of the few hashing threads, while another request has our slot.

    :raises Unavailable: the queue is full, or slow.
    :raises RuntimeError: in an open transaction, which would hold its locks for as long.
    """
    if has_app_context():
        if in_unit_of_work():
            raise RuntimeError("passwords are hashed before the unit of work, not inside it")
        release_connection()  # more may wait here than there are connections
    if not _queue.acquire(blocking=False):
        raise Unavailable(2)
    try:
        with lend_slot():
            threads = _threads()
            promised = threads.submit(_work_off, threads, work)
            try:
                return promised.result(QUEUE_SECONDS)
            except TimeoutError:
                if promised.cancel():
                    raise Unavailable(2) from None
                return promised.result()  # begun just now
    finally:
        _queue.release()


def hash_password(password: str) -> str:
    """An argon2id hash in PHC form.

    :raises Unavailable: too many are being hashed already.
    """
    return _in_turn(lambda: argon2id.hash_password(password))


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the password is right; None costs the same time as a wrong one.

    :raises Unavailable: too many are being hashed already.
    """
    right = _in_turn(lambda: argon2id.verify(password_hash or _NOBODYS_HASH, password))
    return right and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return argon2id.needs_rehash(password_hash)


# Put together, not computed: hashing on first use would make that one sign-in twice as slow.
_NOBODYS_HASH = argon2id.nobodys_hash()


def _comparable(text: str) -> str:
    """What guessing does not tell apart: case, and how a letter's accents are encoded."""
    return unicodedata.normalize("NFC", text).casefold()


@lru_cache(maxsize=4)
def _common_passwords(extra_file: str | None) -> frozenset[str]:
    own = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    extra = Path(extra_file).read_text(encoding="utf-8") if extra_file else ""
    return frozenset(_comparable(line.strip()) for line in (own + "\n" + extra).splitlines() if line.strip())


def check_new_password(password: str, *, email: str, field: str = "password") -> None:
    """Refuse passwords that are guessed first (OWASP ASVS 5.0, 6.2).

    :raises ValidationFailed: too short or long, common, or made from the address or our name.
    """
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise ValidationFailed.of(
            field, f"Use {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters.", "PASSWORD_LENGTH"
        )
    folded = _comparable(password)
    if folded in _common_passwords(current_app.config["COMMON_PASSWORDS_FILE"]):
        raise ValidationFailed.of(field, "This password is among the most common ones.", "PASSWORD_COMMON")
    local_part = _comparable(email).partition("@")[0]
    words = (*CONTEXT_WORDS, local_part) if len(local_part) >= 4 else CONTEXT_WORDS
    if any(word in folded for word in words):
        raise ValidationFailed.of(
            field, "Leave your address and our name out of the password.", "PASSWORD_CONTEXT"
        )
