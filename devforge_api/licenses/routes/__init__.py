"""The domain's one blueprint; its modules add their routes to it."""

from devforge_api.core.api import Blueprint

blp = Blueprint(
    "licenses", __name__, url_prefix="/api/v1", description="Products, policies, licences, machines."
)

from devforge_api.licenses.routes import (  # noqa: E402, F401 - they register on blp
    catalogue,
    client,
    ledger,
    licenses,
    life,
    offline,
    people,
    seats,
    usage,
)
