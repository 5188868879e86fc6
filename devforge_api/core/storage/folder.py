"""Contents in a folder, for one machine."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from devforge_api.core.storage.base import CHUNK, Content, ContentMissing, Kept, StorageAway, is_key, new_key


class Folder:
    """One file for each content, readable by its owner alone, in folders by the key's first letters.

    A content is written as a draft, brought to the disk and then named: a file with a key's name is whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, key: str, file: BinaryIO, size: int, media_type: str) -> None:
        """Keep so many bytes of a file."""
        file.seek(0)
        target = self._place(key)
        draft = target.with_name(f".{new_key()}")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
                    shutil.copyfileobj(file, kept, CHUNK)
                    kept.flush()
                    if kept.tell() != size:
                        raise StorageAway(f"{kept.tell()} bytes came of {size}")
                    os.fsync(kept.fileno())
                draft.replace(target)
                _sync_folder(target.parent)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StorageAway(_why(error)) from error

    def open(self, key: str, start: int = 0, length: int | None = None) -> Content:
        """Begin to read, from a byte on."""
        try:
            descriptor = os.open(self._place(key), os.O_RDONLY | os.O_NOFOLLOW)
            file = os.fdopen(descriptor, "rb")
            file.seek(start)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ContentMissing(key) from error
        except OSError as error:
            raise StorageAway(_why(error)) from error
        return _Pieces(file, length)

    def delete(self, keys: Iterable[str]) -> None:
        """Forget contents."""
        for key in keys:
            try:
                self._place(key).unlink(missing_ok=True)
            except NotADirectoryError:
                pass  # nothing is there
            except OSError as error:
                raise StorageAway(_why(error)) from error

    def kept(self, after: str = "", limit: int = 1000) -> list[Kept]:
        """What is there, in the order of the keys."""
        found: list[Kept] = []
        try:
            for first in self._folders(self._path, after[:2]):
                deeper = after[2:4] if first.name == after[:2] else ""
                for second in self._folders(first, deeper):
                    for entry in sorted(os.scandir(second), key=lambda one: one.name):
                        if is_key(entry.name) and entry.name > after:
                            with suppress(FileNotFoundError):  # deleted meanwhile
                                found.append(_kept(entry))
                            if len(found) == limit:
                                return found
        except OSError as error:
            raise StorageAway(_why(error)) from error
        return found

    def tidy(self, before: datetime) -> int:
        """Remove what killed writers have left. Returns how many."""
        removed = 0
        for draft in self._path.glob("**/.*"):
            with suppress(FileNotFoundError):
                if draft.lstat().st_mtime < before.timestamp():
                    draft.unlink()
                    removed += 1
        return removed

    def link(self, key: str, *, seconds: int, disposition: str, media_type: str) -> str | None:
        """None: the application serves these itself."""
        return None

    def check(self) -> str:
        """Look whether it can be written, once it is there; the data folder is looked at by others."""
        probe = self._path / f".{new_key()}"
        try:
            if self._path.exists():
                probe.touch(mode=0o600)
                probe.unlink()
        except OSError as error:
            raise StorageAway(_why(error)) from error
        return f"contents are kept in {self._path}"

    def _place(self, key: str) -> Path:
        if not is_key(key):
            raise ValueError("not a key of the storage")
        return self._path / key[:2] / key[2:4] / key

    @staticmethod
    def _folders(path: Path, since: str) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(path), key=lambda one: one.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if len(entry.name) == 2 and entry.name >= since and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


class _Pieces:
    """A file's bytes, a piece at a time."""

    def __init__(self, file: BinaryIO, length: int | None) -> None:
        self._file, self._left = file, length

    def __iter__(self) -> Iterator[bytes]:
        while self._left is None or self._left > 0:
            piece = self._file.read(CHUNK if self._left is None else min(CHUNK, self._left))
            if not piece:
                return
            if self._left is not None:
                self._left -= len(piece)
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _kept(entry: os.DirEntry[str]) -> Kept:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(entry.name)
    return Kept(entry.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _sync_folder(path: Path) -> None:
    """Bring the name to the disk, too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: OSError) -> str:
    return f"the folder of files: {error.strerror or type(error).__name__}"
