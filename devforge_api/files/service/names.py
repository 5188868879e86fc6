"""Names that users give: made harmless before anybody saves a file by them."""

from __future__ import annotations

import re
import unicodedata

LETTERS, BYTES = 150, 240  # of 255 bytes that file systems take
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_FORBIDDEN = re.compile(r'[<>:"|?*]')  # by Windows
EXTENSIONS = {
    "application/gzip": ("gz", "tgz"),
    "application/pdf": ("pdf",),
    "application/zip": ("zip", "vsix"),
    "image/gif": ("gif",),
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png",),
    "image/svg+xml": ("svg",),
    "image/webp": ("webp",),
    "text/html": ("html", "htm"),
    "text/plain": ("txt",),
}
# What these say must be true: somebody, or a program, opens the file by them.
_CLAIMS = {
    **{
        extension: media_type
        for media_type, extensions in EXTENSIONS.items()
        if media_type != "text/plain"
        for extension in extensions
    },
    **dict.fromkeys(("bmp", "ico", "tif", "tiff", "avif", "heic", "heif", "psd"), "another picture"),
}
PICTURES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})


def harmless(name: str, media_type: str) -> str:
    """A name that can be saved on any system, without folders, and says what the file is.

    :param name: as it came.
    """
    name = _savable(name)
    if _RESERVED.match(name):
        name = f"_{name}"
    stem, extension = _parted(name)
    known = EXTENSIONS[media_type]
    if media_type in PICTURES and extension.lower() not in known:
        extension = known[0] if extension.lower() in _CLAIMS or not extension else f"{extension}.{known[0]}"
    stem = stem or "file"
    if not extension and not name:
        extension = known[0]
    return _cut(stem, f".{extension}" if extension else "")


def is_false(name: str, media_type: str) -> bool:
    """Whether a name says that the file is something which it is not; pictures may be mistaken for others.

    :param name: as it came: what it says once what nobody sees is taken out of it.
    """
    claimed = _CLAIMS.get(_parted(_savable(name))[1].lower())
    if claimed is None or claimed == media_type:
        return False
    return not (claimed in PICTURES and media_type in PICTURES)


def _savable(name: str) -> str:
    """The last part of a path, without what could not be saved, or would not be seen."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    # Control characters, those that turn the direction of writing, and what is no character at all.
    name = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")
    return _FORBIDDEN.sub("_", re.sub(r"\s+", " ", name)).strip(". ")


def _parted(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not re.fullmatch(r"[A-Za-z0-9]{1,10}", extension):
        return name, ""
    return stem, extension


def _cut(stem: str, ending: str) -> str:
    stem = stem[: LETTERS - len(ending)]
    while len((stem + ending).encode()) > BYTES:
        stem = stem[:-1]
    return (stem.rstrip(". ") or "file") + ending
