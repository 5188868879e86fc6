"""Letters from their templates: one source for both the plain text and the HTML part.

A template is ``templates/<language>/<letter>.txt``: a first line ``Subject: …``, then paragraphs
with blank lines between them. A paragraph ``[label]({{ link }})`` is a link by itself: a button
in HTML. What is put in never makes a line, a paragraph or a link of its own. See docs/mail.md.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from devforge_api.core.languages import language_of

TEMPLATES = Path(__file__).with_name("templates")
LINE = 76  # columns of the plain text; a link is never broken
_LINK = re.compile(r"\[(?P<label>[^\]]+)\]\(\{\{ (?P<link>[a-z_]+) \}\}\)")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def _one_line(value: Any) -> Any:
    """What is put in, on one line, without characters that nobody sees or that turn the text around."""
    return " ".join(_UNSEEN.sub(" ", value).split()) if isinstance(value, str) else value


_TEXT = Environment(autoescape=False, undefined=StrictUndefined, finalize=_one_line)  # noqa: S701 - plain text
_HTML = Environment(
    autoescape=True, undefined=StrictUndefined, finalize=_one_line, loader=FileSystemLoader(TEMPLATES)
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter that can be sent."""

    subject: str
    text: str
    html: str
    language: str


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """One paragraph of a template, for both parts; ``link`` names the value that it leads to."""

    text: Template
    html: Template
    link: str | None


@dataclass(frozen=True, slots=True)
class _Letter:
    subject: Template
    paragraphs: tuple[_Paragraph, ...]


def render(letter: str, *, locale: str | None, sender: str, params: Mapping[str, Any]) -> Rendered:
    """A letter in the language of its reader.

    :param letter: the template's name.
    :param locale: BCP 47; a language that there are no letters in is answered in English.
    :param sender: the address of the service, shown at the end.
    :param params: what the template puts in; one that it wants and does not get is an error.
    :raises LookupError: there is no such letter.
    :raises ValueError: a link leads somewhere else than to http or https.
    """
    language = language_of(locale)
    found = _load(language, letter)
    texts, parts = [], []
    for paragraph in found.paragraphs:
        text = paragraph.text.render(params).strip()
        if not text:  # its condition does not hold
            continue
        link = _checked(params[paragraph.link]) if paragraph.link else None
        texts.append(f"{text}:\n{link}" if link else _wrapped(text))
        parts.append({"html": paragraph.html.render(params).strip(), "link": link})
    subject = found.subject.render(params)
    html = _HTML.get_template("layout.html").render(
        language=language, subject=subject, parts=parts, sender=sender
    )
    closing = f"Dev Forge\n{sender}"
    return Rendered(subject, "\n\n".join([*texts, closing]) + "\n", html, language)


def names(language: str) -> set[str]:
    """Every letter that there is in a language."""
    return {path.stem for path in (TEMPLATES / language).glob("*.txt")}


@cache
def _load(language: str, letter: str) -> _Letter:
    if letter not in names(language):
        raise LookupError(f"there is no letter {letter} in {language}")
    source = (TEMPLATES / language / f"{letter}.txt").read_text(encoding="utf-8")
    head, _, body = source.partition("\n")
    if not head.startswith("Subject: "):
        raise LookupError(f"the letter {letter} in {language} does not begin with its subject")
    subject = _TEXT.from_string(head.removeprefix("Subject: ").strip())
    blocks = filter(None, map(str.strip, re.split(r"\n\s*\n", body)))
    return _Letter(subject, tuple(map(_paragraph, blocks)))


def _paragraph(source: str) -> _Paragraph:
    alone = _LINK.fullmatch(source)
    shown = alone["label"] if alone else source
    return _Paragraph(
        _TEXT.from_string(shown), _HTML.from_string(shown), link=alone["link"] if alone else None
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, LINE, break_long_words=False, break_on_hyphens=False)


def _checked(link: Any) -> str:
    if not isinstance(link, str) or not re.fullmatch(r"https?://[!-~]+", link):
        raise ValueError("a link in a letter must lead to http or https")
    return link
