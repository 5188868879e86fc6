"""How webhooks are doing, for those who look after the service."""

from devforge_api.webhooks.queries import Seen, overview

__all__ = ["Seen", "overview"]
