"""Settings for services, which know nothing of Flask."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app


def days(name: str) -> timedelta:
    """A setting that counts days."""
    return timedelta(days=current_app.config[name])


def duration(name: str) -> timedelta:
    """A setting that is a duration itself."""
    found: timedelta = current_app.config[name]
    return found
