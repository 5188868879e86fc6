"""What a file is, by its bytes."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

import puremagic

HEAD = 4096
# Of the many hundred types that the library knows, those that are taken here. It tells a type from
# the next one by any pattern anywhere: only one at the file's very beginning counts.
_TAKEN = {
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".jpg": "image/jpeg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".webp": "image/webp",
    ".zip": "application/zip",
}
_OFFSETS = {".webp": 8}  # behind RIFF and its length
# What no text holds; terminals' colours (ESC) and form feeds do occur.
_NOT_TEXT = bytes(set(range(0x20)) - set(b"\t\n\x0b\x0c\r\x1b\x08"))
# Where a browser that guesses would see a page (WHATWG MIME Sniffing section 7.1). Each comment ends
# where it first can: were there several ways to part them, a hundred would keep the interpreter for years.
_COMMENT = rb"<!--(?:(?!-->).)*-->"
_PAGE = re.compile(
    rb"(?is)\s*(?:" + _COMMENT + rb"\s*)*"
    rb"<(!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\s>]"
)
_DRAWING = re.compile(
    rb"(?is)\s*(?:<\?xml(?:(?!\?>).)*\?>\s*)?"
    rb"(?:(?:" + _COMMENT + rb"|<!doctype\s+svg(?:[^>\[]|\[[^\]]*\])*>)\s*)*<svg[\s>]"
)


def identify(file: BinaryIO) -> str | None:
    """The media type; None: nothing that is taken here."""
    file.seek(0)
    head = file.read(HEAD)
    if media_type := _by_magic(head):
        return media_type
    if not _is_text(file):
        return None
    text = head.removeprefix(codecs.BOM_UTF8)
    if _DRAWING.match(text):
        return "image/svg+xml"
    return "text/html" if _PAGE.match(text) else "text/plain"


def _by_magic(head: bytes) -> str | None:
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):  # nothing it knows; nothing at all
        return None
    for match in found:
        if match.extension in _TAKEN and match.offset == _OFFSETS.get(match.extension, 0):
            return _TAKEN[match.extension]
    return None


def _is_text(file: BinaryIO) -> bool:
    """Whether all of it is UTF-8 without what only programs write."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while piece := file.read(1 << 20):
            decoder.decode(piece)
            if len(piece.translate(None, _NOT_TEXT)) != len(piece):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
