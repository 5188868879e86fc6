"""The domain's one blueprint; its modules add their routes to it."""

from devforge_api.core.api import Blueprint

blp = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Signing in and out.")

from devforge_api.auth.routes import (  # noqa: E402 - they register on blp
    account_pages,  # noqa: F401
    email,  # noqa: F401
    identities,  # noqa: F401
    mfa,  # noqa: F401
    passwords,  # noqa: F401
    providers,  # noqa: F401
    sessions,  # noqa: F401
    tokens,  # noqa: F401
)
