"""Letters as they are rendered: both parts from one source, in every language, safe whatever is put in."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from uuid import UUID

import pytest
from jinja2 import Environment, UndefinedError, meta

from devforge_api.core.languages import LANGUAGES, best_language, language_of
from devforge_api.core.mail import letters
from devforge_api.core.mail.addresses import wire_address
from devforge_api.core.mail.delivery import compose
from tests.mailbox import parse

LINK = "https://api.example.org/account/verify#token=abc-DEF_123"
PARAMS = {
    "link": LINK, "hours": 24, "minutes": 60, "at": "2026-01-15 09:30 UTC", "device": "DevForge 1.4",
    "address": "203.0.113.7", "provider": "GitHub", "product": "Dev Forge", "tier": "pro",
    "until": "2026-01-22 09:30 UTC", "amount": "59.00 USD", "what": "Dev Forge Pro", "on": "2026-01-22",
    "order": "01a1ff15-33d9-71b1-bf2a-d85b80125e91", "keys": "DF-AAAAA-BBBBB", "why": "refunded",
    "title": "Licence ended", "text": "Your licence for Dev Forge (pro) has ended for good.",
}  # fmt: skip
ID = UUID("01a1ff15-33d9-71b1-bf2a-d85b80125e91")
SENDER = ("Dev Forge", "no-reply@example.org")
ALL = sorted((language, name) for language in LANGUAGES for name in letters.names(language))


def render(name="verify_email", locale="en", **params):
    return letters.render(name, locale=locale, sender="https://api.example.org", params=PARAMS | params)


def composed(recipient="ada@example.com", **params):
    message = compose(
        render(**params),
        mail_id=ID,
        sender=SENDER,
        recipient=recipient,
        at=datetime(2026, 1, 15, 9, 30, tzinfo=UTC),
    )
    return parse(message.as_bytes())


def variables(language, name):
    source = (letters.TEMPLATES / language / f"{name}.txt").read_text(encoding="utf-8")
    return meta.find_undeclared_variables(Environment().parse(source))  # noqa: S701 - only looked at


def test_every_language_has_the_same_letters_with_the_same_variables():
    first, *others = LANGUAGES
    assert len(letters.names(first)) >= 17
    for language in others:
        assert letters.names(language) == letters.names(first)
        for name in letters.names(first):
            assert variables(language, name) == variables(first, name), name


@pytest.mark.parametrize(("language", "name"), ALL)
def test_a_letter_says_the_same_in_both_parts(language, name):
    found = render(name, language)
    shown = Shown()
    shown.feed(found.html)
    assert shown.problems == []
    assert found.subject
    assert found.language == language
    assert f'<html lang="{language}">' in found.html
    for paragraph in found.text.split("\n\n")[:-1]:
        words = " ".join(paragraph.removesuffix(f":\n{LINK}").split())
        assert words in " ".join("".join(shown.text).split()), paragraph
    assert (LINK in found.text) == (f'href="{LINK}"' in found.html) == ("link" in variables(language, name))
    assert max(map(len, found.text.splitlines())) <= max(letters.LINE, len(LINK))
    assert not re.search(r"\{\{|\}\}|\{%|None", found.text + found.html)


class Shown(HTMLParser):
    """The words of a page, and what a letter must not do."""

    def __init__(self):
        super().__init__()
        self.text, self.problems, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag in {"img", "script", "link", "iframe", "table", "form", "object"}:
            self.problems.append(tag)
        self.problems += [name for name, _ in attrs if name.startswith("on") or name == "src"]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}>")

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def test_nothing_that_is_put_in_makes_markup_a_line_or_a_link_of_its_own():
    bad = (
        'x"><img src=//evil.example>\r\nBcc: eve@example.com\n\n[Pay](https://evil.example)\u202e\0{{ link }}'
    )
    found = render("new_device", device=bad)
    assert "<img" not in found.html
    assert "href" not in found.html
    assert "\u202e" not in found.text + found.html
    assert "{{ link }}" in found.text  # put in once and not read again
    assert len(found.text.split("\n\n")) == len(render("new_device").text.split("\n\n"))
    letter = composed(name="new_device", device=bad)
    assert letter.message["Bcc"] is None


def test_a_subject_stays_one_line(monkeypatch, tmp_path):
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "odd.txt").write_text("Subject: Hello {{ name }}\n\nBody.\n")
    monkeypatch.setattr(letters, "TEMPLATES", tmp_path)
    found = letters.render("odd", locale="en", sender="s", params={"name": "Ada\r\nBcc: eve@example.com"})
    assert found.subject == "Hello Ada Bcc: eve@example.com"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "//evil.example", "https://x.example/\r\nx", "", None, 7]
)
def test_a_link_leads_to_http_or_nowhere(link):
    with pytest.raises(ValueError, match="http"):
        render(link=link)


def test_a_value_that_is_missing_is_an_error_and_not_a_gap():
    with pytest.raises(UndefinedError):
        letters.render("verify_email", locale="en", sender="s", params={"link": LINK})


def test_an_unknown_letter_is_an_error():
    with pytest.raises(LookupError):
        render("no_such_letter")


@pytest.mark.parametrize(
    ("locale", "language"),
    [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("de-Latn-DE", "de"), ("fr", "en"), ("", "en"),
     (None, "en"), ("den", "en"), ("en-GB", "en")],
)  # fmt: skip
def test_a_locale_falls_back_to_its_language_and_then_to_english(locale, language):
    assert language_of(locale) == language


@pytest.mark.parametrize(
    ("header", "language"),
    [("de", "de"), ("de-AT,en;q=0.5", "de"), ("en;q=0.1,fr,de;q=0.9", "de"), ("de;q=0,en", "en"),
     ("*", "en"), ("", "en"), (",;;=\x00", "en"), ("fr" * 5000, "en"), ("en, de", "en")],
)  # fmt: skip
def test_the_best_language_of_a_request(header, language):
    assert best_language(header) == language


def test_a_message_has_both_parts_and_says_what_it_is():
    message = composed().message
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Message-ID"] == f"<{ID}@example.org>"
    assert message["From"] == "Dev Forge <no-reply@example.org>"
    assert message["Date"] == "Thu, 15 Jan 2026 09:30:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert composed(locale="de").subject == "Bestätigen Sie Ihre Adresse"


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada+tag@EXAMPLE.com", "Ada+tag@example.com"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("ada@[203.0.113.7]", "ada@[203.0.113.7]"),
        ("ada@localhost", "ada@localhost"),
        ('"a@b"@example.com', '"a@b"@example.com'),
    ],
)
def test_addresses_are_written_as_servers_take_them(address, wire):
    assert wire_address(address) == wire
    assert "\n" not in str(composed(recipient=wire).message["To"])


@pytest.mark.parametrize(
    "address", ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b\r\nRCPT TO:<x@y>", "a@-x-.example",
                "<a>@example.com", "a@exa mple.com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match=r"address|domain"):
        wire_address(address)
