"""Links in letters: from the configuration alone, never from a request's Host header."""

from __future__ import annotations

from flask import current_app


def account_link(page: str, token: str) -> str:
    """Where a letter sends its reader.

    The token stands in the fragment, which no browser sends: no log and no ``Referer`` holds it.

    :param page: ``verify``, ``reset`` or ``email-change``.
    """
    return f"{current_app.config['ACCOUNT_PAGES_URL']}/{page}#token={token}"
