"""The group that billing's commands belong to."""

from __future__ import annotations

from flask.cli import AppGroup

billing_cli = AppGroup("billing", help="Orders and their money.")
