"""The domain's one blueprint; its modules add their routes to it."""

from devforge_api.core.api import Blueprint

blp = Blueprint(
    "billing", __name__, url_prefix="/api/v1/billing", description="Prices, checkouts, orders, subscriptions."
)

from devforge_api.billing.routes import (  # noqa: E402, F401 - they register on blp
    checkout,
    orders,
    prices,
    refunds,
    report,
    subscriptions,
    webhooks,
)
