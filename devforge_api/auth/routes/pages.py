"""What the server's own HTML pages share: one look, one policy, the reader's language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
from flask import Response, make_response, render_template, request, send_from_directory

from devforge_api.core.languages import best_language

AUTH = Path(__file__).resolve().parent.parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# Pages are no part of the API's documentation: a plain blueprint, with no prefix of its own.
pages = flask.Blueprint("pages", __name__, template_folder=str(AUTH / "templates"))


def show(template: str, **values: Any) -> Response:
    """A page in the reader's language, which ``{language}`` in the template's name stands for.

    :param template: such as ``account/{language}/verify.html``; it extends ``auth/page.html``.
    :param values: what the template shows beside ``language``.
    """
    language = best_language(request.headers.get("Accept-Language", ""))
    text = render_template(template.format(language=language), language=language, **values)
    return as_page(make_response(text), language, POLICY)


def as_page(response: Response, language: str, policy: str) -> Response:
    """Give an answer the headers of a page in one language, under a content security policy."""
    response.headers["Content-Security-Policy"] = policy
    response.headers["Content-Language"] = language
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    return response


@pages.route("/account/assets/<name>")
def asset(name: str) -> Response:
    """Serve a packaged stylesheet or script."""
    return send_from_directory(AUTH / "static", name, max_age=3600)
