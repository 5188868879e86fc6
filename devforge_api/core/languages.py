"""The languages in which letters and pages are written, and which one of them a reader gets."""

from __future__ import annotations

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

DEFAULT = "en"
LANGUAGES = (DEFAULT, "de")


def language_of(locale: str | None) -> str:
    """The language for a locale (BCP 47): ``de-AT`` is read as ``de``, an unknown one as English."""
    return _known(locale or "") or DEFAULT


def best_language(accept_language: str) -> str:
    """The best language for a request's ``Accept-Language`` (RFC 9110 section 12.5.4)."""
    accepted = parse_accept_header(accept_language[:1000], LanguageAccept)
    found = (_known(value) for value, quality in accepted if quality > 0)
    return next(filter(None, found), DEFAULT)


def _known(tag: str) -> str | None:
    """By lookup: the tag's last part goes first (RFC 4647 section 3.4)."""
    asked = tag.replace("_", "-").casefold()
    while asked and asked not in LANGUAGES:
        asked = asked.rpartition("-")[0]
    return asked or None
