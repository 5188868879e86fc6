"""What both kinds of storage have in common."""

from __future__ import annotations

import re
import secrets
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol
from urllib.parse import quote

from flask import current_app

from devforge_api.core.errors import Unavailable

CHUNK = 256 * 1024
_KEY = re.compile(r"[0-9a-f]{40}")


class StorageAway(Unavailable):
    """The storage of files does not answer at the moment; try again shortly."""

    code = "STORAGE_AWAY"

    def __init__(self, why: str = "") -> None:
        """:param why: for the operator; never told to callers."""
        super().__init__(5)
        self.why = why

    def __str__(self) -> str:
        return self.why or self.message


class ContentMissing(LookupError):
    """Nothing is kept under this key."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One content that is there.

    :param size: bytes.
    """

    key: str
    size: int
    at: datetime


class Content(Protocol):
    """Bytes of a content, a piece at a time; whoever has opened it closes it."""

    def __iter__(self) -> Iterator[bytes]:
        """The pieces."""

    def close(self) -> None:
        """Let go of it; also before its end."""


class Storage(Protocol):
    """Keeps contents by key. Every call may wait for a network, and so stands outside of transactions."""

    def put(self, key: str, file: BinaryIO, size: int, media_type: str) -> None:
        """Keep a file of so many bytes; once this returns, they last.

        :raises StorageAway: nothing is kept, or what is kept is whole.
        """

    def open(self, key: str, start: int = 0, length: int | None = None) -> Content:
        """Begin to read, from a byte on.

        :raises ContentMissing: there is nothing. :raises StorageAway: try again.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Forget contents; those that are not there do not matter.

        :raises StorageAway: some may be left.
        """

    def kept(self, after: str = "", limit: int = 1000) -> list[Kept]:
        """What is there, in the order of the keys.

        :param after: a key; those behind it. :raises StorageAway: try again.
        """

    def tidy(self, before: datetime) -> int:
        """Remove what writers that were killed have left half-way. Returns how many.

        :raises StorageAway: try again.
        """

    def link(self, key: str, *, seconds: int, disposition: str, media_type: str) -> str | None:
        """An address by which anybody may read a content for a while; None: the storage has none."""

    def check(self) -> str:
        """Look whether it can be used, and say what was seen.

        :raises StorageAway: it cannot.
        """


def new_key() -> str:
    """A key that nobody guesses, and that tells nothing."""
    return secrets.token_hex(20)


def is_key(text: str) -> bool:
    """Whether this is one of our keys; nothing else is ever made a path of, or deleted."""
    return _KEY.fullmatch(text) is not None


def scratch() -> BinaryIO:
    """A file without a name, beside the data: what is large does not belong into ``/tmp``, often memory.

    :raises StorageAway: there is no room.
    """
    try:
        return tempfile.TemporaryFile(dir=current_app.config["DATA_DIR"])
    except OSError as error:
        raise StorageAway(f"the data folder cannot be written: {error.strerror}") from error


def attachment(name: str) -> str:
    """The ``Content-Disposition`` by which a browser saves, and never shows (RFC 6266, RFC 8187)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 !#$&+.^_`{}~()\[\]-]", "_", plain).strip() or "file"
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'
