"""Where the link of a letter leads that ends such letters.

Opening it changes nothing, as scanners open every link. A POST does, at once and without a sign-in:
from the page's button, or by the reader's mail program, which sends it of its own (RFC 8058).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
from flask import Response, make_response, render_template, request

from devforge_api.core import gateway, pages
from devforge_api.core.db import unit_of_work
from devforge_api.core.errors import MalformedRequest
from devforge_api.core.limits import Limit
from devforge_api.core.security import public
from devforge_api.notifications.routes.words import WORDS
from devforge_api.notifications.service import unsubscribing

# No part of the API's documentation: a plain blueprint.
notification_pages = flask.Blueprint(
    "notification_pages", __name__, template_folder=str(Path(__file__).resolve().parent.parent / "templates")
)


def _show(template: str, status: int = 200, **values: Any) -> Response:
    language = pages.reader_language()
    text = render_template(f"notifications/{template}", language=language, words=WORDS[language], **values)
    return pages.as_page(make_response(text, status), language, pages.plain_policy())


@notification_pages.get(unsubscribing.PAGE)
@public()
def ask() -> Response:
    """Ask whether there are to be no more letters of a kind."""
    token = request.args.get("token", "")
    _, kind = unsubscribing.read_link(token)
    return _show(
        "unsubscribe.html", state="ask", kind=kind.value, action=f"{unsubscribing.PAGE}?token={token}"
    )


@notification_pages.post(unsubscribing.PAGE)
@public(Limit.WEBHOOKS)  # a mail provider sends those of all its readers from a few addresses
def unsubscribe() -> Response:
    """Write no more letters of a kind to whom the link was written."""
    if request.form.get("List-Unsubscribe") != "One-Click":
        raise MalformedRequest("The body must be List-Unsubscribe=One-Click.")
    with unit_of_work():
        kind = unsubscribing.unsubscribe(request.args.get("token", ""))
    return _show("unsubscribe.html", state="done", kind=kind.value)


@notification_pages.record_once
def _prepare(state: Any) -> None:
    gateway.install_dialect(state.app, ("/notifications/",), _speak_to_people)


def _speak_to_people(body: dict[str, Any], status: int) -> Response | None:
    """A refusal as a page for who would rather read one."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return None
    page = _show("message.html", status, code=body["code"])
    page.vary.add("Accept")
    return page
