"""``flask billing``: the team's and the operator's hands on orders and money."""

from devforge_api.billing.cli import (  # noqa: F401 - they add their commands
    books,
    reconcile,
    refund,
    show,
    simulate,
)
from devforge_api.billing.cli.group import billing_cli

__all__ = ["billing_cli"]
