"""The domain's one blueprint; its modules add their routes to it."""

from devforge_api.core.api import Blueprint

blp = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Signing in and out.")

from devforge_api.auth.routes import account_pages, email, passwords, sessions  # noqa: E402, F401 - they register
