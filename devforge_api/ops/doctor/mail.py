"""Would letters arrive?"""

from __future__ import annotations

from collections.abc import Iterator

from flask import current_app

from devforge_api.core.mail.transport import NotNow, transport
from devforge_api.ops.doctor.report import Finding, Health


def mail() -> Iterator[Finding]:
    """The mail server answers, encrypts and takes the login; or the folder can be written."""
    told = current_app.config
    try:
        seen = transport().check()
    except NotNow as error:
        advice = "check DEVFORGE_MAIL_URL" if told["MAIL_URL"] else "correct the folder's permissions"
        yield Finding("mail", Health.FAILED, str(error), f"{advice}; letters wait and are tried again")
        return
    if told["MAIL_URL"] or not told["REQUIRE_HTTPS"]:
        yield Finding("mail", Health.OK, seen)
        return
    # Served to customers, whose letters nobody reads.
    needed = told["EMAIL_VERIFICATION"] == "required"
    advice = "set DEVFORGE_MAIL_URL"
    if needed:
        advice += ": nobody who registers can sign in without a letter"
    yield Finding("mail", Health.FAILED if needed else Health.WARNING, seen, advice)
