"""Settings for services, which know nothing of Flask."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr

from flask import current_app


def days(name: str) -> timedelta:
    """A setting that counts days."""
    return timedelta(days=current_app.config[name])


def duration(name: str) -> timedelta:
    """A setting that is a duration itself."""
    found: timedelta = current_app.config[name]
    return found


def public_url() -> str:
    """The address that users see, without a slash at its end."""
    url: str = current_app.config["PUBLIC_URL"]
    return url.rstrip("/")


def sender_address() -> str:
    """The address that letters are from."""
    return parseaddr(current_app.config["MAIL_FROM"])[1]


def number(name: str) -> int:
    """A setting that counts."""
    found: int = current_app.config[name]
    return found


def address(path: str) -> str:
    """A path as an address of ours that users see."""
    return f"{current_app.config['PUBLIC_URL']}{path}"
