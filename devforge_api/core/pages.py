"""HTML pages of the server's own: the reader's language, and the headers that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, make_response, render_template, request

from devforge_api.core.languages import best_language

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Words:
    """What a domain's pages say in one language: ``words("consent", client="…")`` in a template.

    :param table: texts by their keys; ``unknown`` is for errors that have none.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table

    def __call__(self, key: str, **values: str) -> str:
        """A text; an error's code that has no words of its own gets general ones."""
        return self._table.get(key, self._table["unknown"]).format(**values)


def plain_policy(*elsewhere: str) -> str:
    """The policy of pages that work without any script.

    :param elsewhere: origins, beside our own, to which a form's answer may lead the browser.
    """
    targets = " ".join(dict.fromkeys(["'self'", *elsewhere]))
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def reader_language() -> str:
    """The language that the reader's browser asks for."""
    return best_language(request.headers.get("Accept-Language", ""))


def show(template: str, **values: Any) -> Response:
    """A page in the reader's language, which ``{language}`` in the template's name stands for.

    :param template: such as ``account/{language}/verify.html``; it extends ``auth/page.html``.
    :param values: what the template shows beside ``language``.
    """
    language = reader_language()
    text = render_template(template.format(language=language), language=language, **values)
    return as_page(make_response(text), language, POLICY)


def as_page(response: Response, language: str, policy: str) -> Response:
    """Give an answer the headers of a page in one language, under a content security policy."""
    response.headers["Content-Security-Policy"] = policy
    response.headers["Content-Language"] = language
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    return response
