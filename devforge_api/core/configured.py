"""Settings for services, which know nothing of Flask."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app


def days(name: str) -> timedelta:
    """A setting that counts days."""
    return timedelta(days=current_app.config[name])


def number(name: str) -> int:
    """A setting that counts."""
    found: int = current_app.config[name]
    return found


def address(path: str) -> str:
    """A path as an address of ours that users see."""
    return f"{current_app.config['PUBLIC_URL']}{path}"
