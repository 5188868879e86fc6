"""Argon2id (RFC 9106) in memory that a thread keeps from one hash to the next.

The library asks the system for its 19 MiB at every hash, and the system clears whatever it hands
out: that took a tenth of a hash's CPU time or more. So the library is lent the same memory each
time, which it wipes itself before it returns it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
from typing import Any

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, HashingError
from argon2.low_level import ARGON2_VERSION, core, error_to_str, ffi

# OWASP's parameters: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
SALT_LENGTH, HASH_LENGTH = 16, 32
_PREFIX = f"$argon2id$v={ARGON2_VERSION}$m={MEMORY_KIB},t={PASSES},p={LANES}$"
_OUT_OF_MEMORY = -22  # ARGON2_MEMORY_ALLOCATION_ERROR
_library = PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_LENGTH, SALT_LENGTH, type=Type.ID)


class _Kept(threading.local):
    """A thread's memory."""

    block: Any = None


_kept = _Kept()
_allocate = ffi.new_allocator(should_clear_after_alloc=False)


def give_memory_back() -> None:
    """Let this thread's memory go; its next hash asks for some again."""
    _kept.block = None


def _lend(where: Any, size: int) -> int:
    if size > MEMORY_KIB * 1024:
        return _OUT_OF_MEMORY
    if _kept.block is None:
        _kept.block = _allocate("uint8_t[]", MEMORY_KIB * 1024)
    where[0] = _kept.block
    return 0


def _take_back(_block: Any, _size: int) -> None:
    """Nothing: it is there for the next hash."""


def _callbacks() -> dict[str, Any]:
    """For the library; none where the system refuses to run code that is made at run time."""
    try:
        return {
            "allocate_cbk": ffi.callback("int(uint8_t **, size_t)", _lend, error=_OUT_OF_MEMORY),
            "free_cbk": ffi.callback("void(uint8_t *, size_t)", _take_back),
        }
    except MemoryError:  # as by systemd's MemoryDenyWriteExecute
        return {}


_CALLBACKS = _callbacks()


def hash_password(password: str) -> str:
    """A new hash in PHC form."""
    salt = secrets.token_bytes(SALT_LENGTH)
    return _PREFIX + "$".join(map(_encoded, (salt, _digest(password, salt, HASH_LENGTH))))


def verify(password_hash: str, password: str) -> bool:
    """Whether a hash, of these or of other parameters, is the password's."""
    try:
        if not password_hash.startswith(_PREFIX):
            return _library.verify(password_hash, password)
        salt, digest = map(_decoded, password_hash.removeprefix(_PREFIX).split("$"))
        return hmac.compare_digest(_digest(password, salt, len(digest)), digest)
    except (Argon2Error, ValueError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether a hash was made with other parameters."""
    return _library.check_needs_rehash(password_hash)


def nobodys_hash() -> str:
    """A well-formed hash of no known password: checking it costs what a real one costs."""
    return _PREFIX + "$".join(_encoded(secrets.token_bytes(size)) for size in (SALT_LENGTH, HASH_LENGTH))


def _digest(password: str, salt: bytes, length: int) -> bytes:
    given, out = password.encode(), ffi.new("uint8_t[]", length)
    held = {"pwd": ffi.new("uint8_t[]", given), "salt": ffi.new("uint8_t[]", salt)}
    context = ffi.new(
        "argon2_context *",
        {
            "version": ARGON2_VERSION, "out": out, "outlen": length, **held, "pwdlen": len(given),
            "saltlen": len(salt), "m_cost": MEMORY_KIB, "t_cost": PASSES, "lanes": LANES, "threads": LANES,
            **_CALLBACKS,
        },
    )  # fmt: skip
    if failure := core(context, Type.ID.value):
        raise HashingError(error_to_str(failure))
    return bytes(ffi.buffer(out))


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
