"""``flask billing``: the team's hands on money."""

from devforge_api.billing.cli import simulate  # noqa: F401 - it adds its command
from devforge_api.billing.cli.group import billing_cli

__all__ = ["billing_cli"]
