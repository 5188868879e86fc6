"""``flask licenses``: the team's hands on licences."""

from devforge_api.licenses.cli import bulk, issue, show, steps, verify  # noqa: F401 - they add their commands
from devforge_api.licenses.cli.group import licenses_cli

__all__ = ["licenses_cli"]
