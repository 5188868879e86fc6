"""What the server's own HTML pages share: one frame and one look."""

from __future__ import annotations

from pathlib import Path

import flask
from flask import Response, send_from_directory

AUTH = Path(__file__).resolve().parent.parent

# Pages are no part of the API's documentation: a plain blueprint, with no prefix of its own.
pages = flask.Blueprint("pages", __name__, template_folder=str(AUTH / "templates"))


@pages.route("/account/assets/<name>")
def asset(name: str) -> Response:
    """Serve a packaged stylesheet or script."""
    return send_from_directory(AUTH / "static", name, max_age=3600)
