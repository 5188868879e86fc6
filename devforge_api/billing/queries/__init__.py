"""What can be listed and looked up about billing."""

from devforge_api.billing.queries.held import lock_order

__all__ = ["lock_order"]
