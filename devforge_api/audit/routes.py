"""Reading the audit trail."""

from flask.views import MethodView
from sqlalchemy import Select

from devforge_api.audit import queries
from devforge_api.audit.models import AuditEvent
from devforge_api.audit.schemas import AuditEventSchema
from devforge_api.core.api import Blueprint
from devforge_api.core.security import requires

blp = Blueprint("audit", __name__, url_prefix="/api/v1/audit", description="Who did what.")


@blp.route("/events")
class AuditEvents(MethodView):
    """The trail."""

    @requires("audit:read")
    @blp.listing(queries.EVENTS, AuditEventSchema)
    def get(self) -> Select[AuditEvent]:
        """List audit events"""
        return queries.events()
