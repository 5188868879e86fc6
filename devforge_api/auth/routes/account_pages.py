"""The pages that letters lead to, for who has no website of their own.

A page reads the token from the address's fragment, asks, and calls the API as any client would:
opening it changes nothing, which matters since scanners open every link.
"""

from __future__ import annotations

from flask import Response

from devforge_api.auth.routes.pages import pages
from devforge_api.core.pages import show


@pages.route("/account/verify")
def verify_page() -> Response:
    """Confirm a new account's address."""
    return show("account/{language}/verify.html")


@pages.route("/account/reset")
def reset_page() -> Response:
    """Choose a new password."""
    return show("account/{language}/reset.html")


@pages.route("/account/email-change")
def email_change_page() -> Response:
    """Confirm the address that an account changes to."""
    return show("account/{language}/email-change.html")
